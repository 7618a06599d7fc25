"""What was done on the site and with campaign e-mails, as the raw tables ``web.sessions`` and ``web.events``.

Visits and contacts are given: this module adds nothing to them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.baskets import Orders, Shop
from sources.synthetic.marketing import Contacts
from sources.synthetic.randomness import Ints
from sources.synthetic.visits import DEVICES, EVENT_TYPES, VISIT_PREFIXES, Events, Visits
from sources.synthetic.window import Window


def sessions_table(shop: Shop, orders: Orders, visits: Visits, window: Window) -> pa.Table:
    """The visits that began in a window, as ``web.sessions``."""
    visits = visits.take(window.born(visits.started_at))
    return tables.build(
        BY_NAME["web.sessions"],
        {
            "session_id": visits.ids(),
            "customer_id": tables.chosen(shop.customers.ids, visits.customer, missing=visits.customer < 0),
            "started_at": tables.timestamps(visits.started_at),
            "device_type": tables.chosen(DEVICES, visits.device),
            "pages_visited": pa.array(visits.pages),
            "time_on_site_seconds": pa.array(visits.seconds),
            "cart_value": tables.money(visits.cart),
            "order_id": tables.chosen(orders.ids(), visits.order, missing=visits.order < 0),
        },
    )


def events_table(shop: Shop, visits: Visits, events: Events, contacts: Contacts, window: Window) -> pa.Table:
    """The events of visits and of campaign e-mails in a window, as ``web.events``."""
    events = events.take(window.born(events.at))
    kind, customer = visits.kind[events.visit], visits.customer[events.visit]
    numbers = [(number[events.visit], width) for number, width in visits.numbers()]
    on_site = tables.build(
        BY_NAME["web.events"],
        {
            "event_id": tables.identifiers((VISIT_PREFIXES, kind), *numbers, (events.slot, 2)),
            "session_id": tables.identifiers((VISIT_PREFIXES, kind), *numbers),
            "customer_id": tables.chosen(shop.customers.ids, customer, missing=customer < 0),
            "event_type": tables.chosen(EVENT_TYPES, events.type),
            "occurred_at": tables.timestamps(events.at),
            "product_id": tables.chosen(shop.assortment.ids, events.product, missing=events.product < 0),
            "campaign_id": pa.nulls(len(events), pa.string()),
        },
    )
    return pa.concat_tables(
        [
            on_site,
            _mail_events(shop, contacts, "email_open", contacts.opened_at, window),
            _mail_events(shop, contacts, "email_click", contacts.clicked_at, window),
        ]
    )


def _mail_events(shop: Shop, contacts: Contacts, event: str, at: Ints, window: Window) -> pa.Table:
    happened = window.born(at)
    contacts, at = contacts.take(happened), at[happened]
    nothing = pa.nulls(len(at), pa.string())
    return tables.build(
        BY_NAME["web.events"],
        {
            "event_id": tables.joined([contacts.ids(), pa.scalar(event)], "-"),
            "session_id": nothing,
            "customer_id": tables.chosen(shop.customers.ids, contacts.customer),
            "event_type": tables.chosen((event,), np.zeros(len(at), dtype=np.int64)),
            "occurred_at": tables.timestamps(at),
            "product_id": nothing,
            "campaign_id": tables.identifiers("M", (contacts.campaign + 1, 3)),
        },
    )
