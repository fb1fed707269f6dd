"""Results that people look at: the report, the live page, and what both give to the browser."""
