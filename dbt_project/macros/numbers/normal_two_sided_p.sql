{#
  Two-sided p-value of a standard normal statistic: erfc(|z| / sqrt(2)).
  SQL has no erfc; this is the Chebyshev fit of Press et al., Numerical Recipes, section 6.2 (relative error below
  1.2e-7 everywhere, far into the tail as well).
#}
{% macro normal_two_sided_p(z) -%}
    {%- set x = "(abs(" ~ z ~ ") / 1.4142135623730951)" -%}
    {%- set t = "(1.0 / (1.0 + 0.5 * " ~ x ~ "))" -%}
    {%- set c = [
        -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
        -0.82215223, 0.17087277
    ] -%}
    {%- set sum = namespace(text="0.0") -%}
    {%- for factor in c | reverse -%}
        {%- set sum.text = "(" ~ factor ~ " + " ~ t ~ " * " ~ sum.text ~ ")" -%}
    {%- endfor -%}
    least(1.0, {{ t }} * exp(-{{ x }} * {{ x }} + {{ sum.text }}))
{%- endmacro %}
