{#
  The path of a place: of a path, or of an address as Spark tells it, with scheme and host before the path and what an
  address may not hold as %20 (file:/data, hdfs://host:9000/data); without double or trailing slashes, dots resolved.
  Python has the same rule: orchestration/spark/scoring.py.
#}
{% macro path_of(place) -%}
    {%- set path = modules.re.sub('^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*)?', '', place) -%}
    {%- set plain = [path] if path == place else [path.split('%')[0]] -%}
    {%- for piece in path.split('%')[1:] if path != place -%}
        {%- do plain.append('%c' | format(piece[:2] | int(base=16)) ~ piece[2:]) -%}
    {%- endfor -%}
    {%- set parts = [] -%}
    {%- for part in (plain | join).split('/') -%}
        {%- if part == '..' -%}
            {%- do parts.pop() if parts -%}
        {%- elif part not in ('', '.') -%}
            {%- do parts.append(part) -%}
        {%- endif -%}
    {%- endfor -%}
    /{{ parts | join('/') }}
{%- endmacro %}
