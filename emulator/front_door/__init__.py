"""The way in from outside: a proxy behind which the emulated load balancers answer."""
