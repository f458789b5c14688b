"""AWS on this machine: moto, and the parts of AWS that moto leaves out.

`python -m emulator` serves it; `emulator.server.serve` starts it from a program; `emulator.wire.attach` connects
a boto3 session in the same process, without HTTP. The product never imports this package: AWS_ENDPOINT_URL is the
whole of the switch.
"""
