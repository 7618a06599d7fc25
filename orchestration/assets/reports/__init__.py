"""The pages as assets, one module a page with its queries. What stands on a page is decided in `reports`."""

import dagster as dg

from orchestration.assets.reports import customers, overview, products
from orchestration.assets.reports.report_page import ReportPage, page_asset
from orchestration.settings import Settings

PAGES: tuple[ReportPage, ...] = (overview.PAGE, customers.PAGE, products.PAGE)


def build_report_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """All pages, in the order of the site's navigation."""
    return [page_asset(settings, page) for page in PAGES]
