"""Plotly figures (a frame in, a figure out) and the pages made of them."""
