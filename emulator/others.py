"""others"""
