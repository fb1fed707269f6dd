"""MATLAB's functions with MATLAB's values, and its files."""
