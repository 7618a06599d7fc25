-- What became of the messages of every campaign, as far as known at as_of.
with
    campaigns as (
        select * from {{ ref('stg_marketing__campaigns') }}
    ),

    contacts as (
        select
            campaign_id,
            min(assigned_on) as first_assigned_on,
            count(*) as contact_count,
            count(*) filter (where is_control) as control_count,
            count(*) filter (where was_sent) as sent_count,
            count(opened_at) as opened_count,
            count(clicked_at) as clicked_count,
            count(*) filter (where is_converted) as converted_count
        from {{ ref('int_contacts__outcomes') }}
        group by campaign_id
    ),

    -- a contact may name a campaign that has no record
    seen as (
        select campaign_id from campaigns
        union
        select campaign_id from contacts
    )

select
    cast(seen.campaign_id as string) as campaign_id,
    cast(campaigns.name as string) as name,
    cast(campaigns.offer_type as string) as offer_type,
    cast(campaigns.discount_rate as double) as discount_rate,
    cast(campaigns.target_segment as string) as target_segment,
    cast(coalesce(campaigns.starts_on, contacts.first_assigned_on) as date) as starts_on,
    cast(campaigns.ends_on as date) as ends_on,
    cast(coalesce(contacts.contact_count, 0) as bigint) as contact_count,
    cast(coalesce(contacts.control_count, 0) as bigint) as control_count,
    cast(coalesce(contacts.sent_count, 0) as bigint) as sent_count,
    cast(coalesce(contacts.opened_count, 0) as bigint) as opened_count,
    cast(coalesce(contacts.clicked_count, 0) as bigint) as clicked_count,
    cast(coalesce(contacts.converted_count, 0) as bigint) as converted_count,
    cast({{ ratio('contacts.opened_count', 'contacts.sent_count') }} as double) as open_rate,
    cast({{ ratio('contacts.clicked_count', 'contacts.sent_count') }} as double) as click_rate,
    cast({{ ratio('contacts.converted_count', 'contacts.sent_count') }} as double) as conversion_rate
from seen
left join campaigns on seen.campaign_id = campaigns.campaign_id
left join contacts on seen.campaign_id = contacts.campaign_id
