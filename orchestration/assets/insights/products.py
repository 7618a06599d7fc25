"""What sells together beyond chance and taste, as an asset."""

import dagster as dg

from orchestration.artefacts import save_card
from orchestration.assets.insights.tables import MlTables, model_run, plain_figures, warn
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

_COUNTS = "work.intermediate.int_pairs__counted"
_CATEGORIES = "select product_id, category from marts.dim_products"

PAIRS = f"""
select product_id_a, product_id_b, sum(pair_orders) as pair_orders
from {_COUNTS}
where product_id_a < product_id_b
group by all
having sum(pair_orders) > 1
order by all
"""

PRODUCTS = f"""
with sides as (
    select product_id_a as product_id, pair_orders from {_COUNTS} where product_id_a < product_id_b
    union all
    select product_id_b as product_id, pair_orders from {_COUNTS} where product_id_a < product_id_b
),
totals as (select product_id, sum(pair_orders) as pair_orders from sides group by product_id)

select products.product_id, products.category, coalesce(totals.pair_orders, 0) as pair_orders
from ({_CATEGORIES}) as products
left join totals on products.product_id = totals.product_id
order by all
"""

BLOCKS = f"""
select a.category as category_a, b.category as category_b, sum(counted.pair_orders) as pair_orders
from {_COUNTS} as counted
inner join ({_CATEGORIES}) as a on counted.product_id_a = a.product_id
inner join ({_CATEGORIES}) as b on counted.product_id_b = b.product_id
where counted.product_id_a < counted.product_id_b
group by all
order by all
"""

MONTHS = f"""
select product_id_a as product_id, month, sum(pair_orders) as orders
from {_COUNTS}
where product_id_a = product_id_b
group by all
order by all
"""


def build_product_associations(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.product_associations`: pairs of products that meet in more orders than taste and demand explain."""
    deps = ["intermediate.int_pairs__counted", "marts.dim_products"]

    @dg.asset(**tables.described("product_associations", deps, "scipy"))
    def product_associations(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.pairs import associated_pairs

        as_of, refresh = raw.folder.clock()
        queries = {"pairs": PAIRS, "products": PRODUCTS, "blocks": BLOCKS, "months": MONTHS}
        result = associated_pairs(*warehouse.read_all(queries).values())
        warn(context, result.messages)
        run = model_run("product_associations", f"block-model-{as_of}", as_of, result.metrics, result.messages)
        save_card(settings.models, "product_associations", [run])
        details = tables.store(warehouse, "product_associations", result.pairs.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **plain_figures(result.metrics)})

    return product_associations
