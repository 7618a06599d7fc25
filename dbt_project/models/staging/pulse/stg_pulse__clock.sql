with
    source as (
        select * from {{ source('pulse', 'clock') }}
    ),

    renamed as (
        select
            refresh,
            {% if var('as_of') %}
                cast('{{ var("as_of") }}' as date) as as_of,
            {% else %}
                as_of,
            {% endif %}
            {% if env_var('PULSE_PII', 'keep') != 'keep' %}
                pii_salt,
            {% endif %}
            received_on
        from source
    )

select * from renamed
