"""The products page: its queries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestration.assets.reports.report_page import ReportPage

if TYPE_CHECKING:
    from reports.blocks import Page


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.products import products_page

    return products_page(**frames)


PAGE = ReportPage(
    name="products",
    description="What sells, what changes, what sells together, and one product at a time.",
    queries={
        "products": """
            select
                product_id, coalesce(name, product_id) as name, category, revenue_rank,
                cast(net_revenue as double) as net_revenue, cast(gross_margin as double) as gross_margin, margin_rate,
                cast(unit_count as double) as unit_count, order_count, customer_count, return_rate, revenue_share,
                discount_rate, first_sold_on, last_sold_on, trend_direction, changed_on, ticket_count, negative_rate,
                top_topic,
                concat_ws(
                    ', ',
                    coalesce(bought_together_1_name, bought_together_1),
                    coalesce(bought_together_2_name, bought_together_2),
                    coalesce(bought_together_3_name, bought_together_3)
                ) as bought_together,
                concat_ws(
                    ', ',
                    top_customer_1 || ' (' || format('{:,.0f}', cast(top_customer_1_net_revenue as double)) || ')',
                    top_customer_2 || ' (' || format('{:,.0f}', cast(top_customer_2_net_revenue as double)) || ')',
                    top_customer_3 || ' (' || format('{:,.0f}', cast(top_customer_3_net_revenue as double)) || ')'
                ) as top_customers
            from marts.product_360
            order by revenue_rank nulls last, product_id
        """,
        "categories": """
            select
                category, cast(revenue as double) as revenue, transaction_count, average_transaction_value,
                customer_count
            from marts.category_performance
            where category is not null
            order by category
        """,
        "months": """
            select product_id, month, cast(units as double) as units, cast(net_revenue as double) as net_revenue
            from marts.monthly_product_sales
            where is_complete
            order by product_id, month
        """,
        "trends": """
            select month, direction, is_significant
            from marts.product_trends
            order by month, product_id
        """,
        "changes": """
            select
                changes.product_id, coalesce(products.name, changes.product_id) as name, changes.changed_on,
                changes.units_per_week_before, changes.units_per_week_after, changes.change_ratio
            from ml.trend_changes as changes
            left join marts.dim_products as products on changes.product_id = products.product_id
            where changes.is_change
            order by changes.product_id, changes.changed_on
        """,
        "pairs": """
            select
                pairs.product_id_a, pairs.product_id_b, pairs.pair_orders, pairs.lift,
                coalesce(found.is_associated, false) as is_associated
            from marts.product_pairs as pairs
            left join ml.product_associations as found
                on pairs.product_id_a = found.product_id_a and pairs.product_id_b = found.product_id_b
            order by pairs.product_id_a, pairs.product_id_b
        """,
    },
    make=_page,
)
