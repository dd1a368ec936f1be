"""The picture of a run: report.html, and tables for the terminal. Reads run folders and nothing
else.
"""
