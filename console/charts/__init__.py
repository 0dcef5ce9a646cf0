"""Results as charts, tables and sentences: pure functions of `ResultsPublic`, for the console and for reports.

Nothing here imports Streamlit, and language comes in as `Words`, so that the backend's reports show the same.
"""
