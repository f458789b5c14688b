"""Auto Scaling, wholly the emulator's own: moto's groups launch at once, and forgive everything.

groups (the groups and their loop), calls (make, change, delete, describe), members and extras (the other calls).
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/Welcome.html
"""
