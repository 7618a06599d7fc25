"""One customer's page, made when asked for from the published file; it belongs to no asset, and imports no Dagster."""

from pathlib import Path

import duckdb

_QUERIES = {
    "orders": """
        select
            min(sold_on) filter (where is_order_line) as ordered_on,
            count(*) filter (where is_order_line) as line_count,
            cast(sum(quantity) filter (where is_order_line) as double) as unit_count,
            cast(sum(net_revenue) as double) as net_revenue
        from marts.fct_sales
        where customer_id = $customer_id
        group by order_id
        having ordered_on is not null
        order by ordered_on desc, order_id
    """,
    "products": """
        select
            coalesce(products.name, sales.product_id) as name, products.category,
            count(distinct sales.order_id) filter (where sales.is_order_line) as order_count,
            cast(sum(sales.net_revenue) as double) as net_revenue
        from marts.fct_sales as sales
        left join marts.dim_products as products on sales.product_id = products.product_id
        where sales.customer_id = $customer_id and sales.product_id is not null
        group by sales.product_id, products.name, products.category
        order by net_revenue desc, sales.product_id
    """,
    "tickets": """
        select opened_on, topic, priority, state, sentiment_score
        from marts.fct_tickets
        where customer_id = $customer_id
        order by opened_at desc, ticket_id
    """,
}


def write_customer_page(connection: duckdb.DuckDBPyConnection, customer_id: str, folder: Path) -> Path:
    """Write the page of one customer beside the published pages.

    Args:
        connection: To the published file.
        customer_id: An id that exists.
        folder: Of the published pages; the next refresh clears the page, as its figures will be others.

    Returns:
        The page.

    Raises:
        LookupError: There is no such customer.
    """
    from reports.blocks import Stamp
    from reports.customer import customer_page
    from reports.page import customer_file, render
    from reports.site import write_page

    known = connection.execute("select * from marts.customer_360 where customer_id = $customer_id", _id(customer_id))
    rows = [{str(name): value for name, value in row.items()} for row in known.df().to_dict("records")]
    if not rows:
        raise LookupError(f"There is no customer {customer_id!r} in the published file.")
    frames = {name: connection.execute(query, _id(customer_id)).df() for name, query in _QUERIES.items()}
    published = connection.execute(
        "select as_of, refresh from meta.refreshes where status = 'published' order by refresh desc limit 1"
    ).fetchall()
    as_of, refresh = published[0]
    page = folder / customer_file(customer_id)
    write_page(page, render(customer_page(rows[0], **frames), Stamp(as_of, refresh)))
    return page


def _id(customer_id: str) -> dict[str, str]:
    return {"customer_id": customer_id}
