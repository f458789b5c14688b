"""elbv2"""
