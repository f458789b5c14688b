"""EFS: file systems, access points and mount targets."""
