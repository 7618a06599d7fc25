-- The days that churn features are computed for: the last 12 month ends before as_of, and as_of itself.
with
    month_ends as (
        select {{ add_days('calendar_month', -1) }} as cutoff_date
        from (
            {{ months_from_to(add_months(month_start(as_of()), -11), month_start(as_of())) }}
        ) as months
    )

select cutoff_date from month_ends
union
select {{ as_of() }} as cutoff_date
