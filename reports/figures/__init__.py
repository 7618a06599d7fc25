"""Charts, one module a subject: frames in, a `Chart` out, whose title states the finding, with the numbers behind it.

Title and note are the page's text, not the figure's, so that they wrap on a narrow screen. Figures carry no page
colours: they lie on whatever is behind them, light or dark. How a page shows them is decided in `reports.page`.
"""
