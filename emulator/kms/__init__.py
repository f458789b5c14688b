"""AWS KMS: moto's keys, and who may decrypt with one."""
