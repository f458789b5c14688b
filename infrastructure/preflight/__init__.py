"""What check_account.py looks at: whether an account can have what the settings ask for."""
