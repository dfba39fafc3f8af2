{#-
    How tables and views that each run makes anew take the place of the old ones: by one statement, which the engine does
    whole or not at all. dbt's own way, for databases that have no such statement, makes a new one, renames both and drops
    the old one, which costs each of some twenty models longer than making it does where little is new.
    A view stays a view: where a model's code changes, a run rebuilds, and that begins with an empty database.
-#}

{% materialization table, adapter="duckdb" %}
    {%- do return(made_anew("table")) -%}
{% endmaterialization %}

{% materialization view, adapter="duckdb" %}
    {%- do return(made_anew("view")) -%}
{% endmaterialization %}

{% macro made_anew(type) %}
    {%- set new = this.incorporate(type=type) -%}
    {%- if config.get("contract").enforced -%}
        {%- do exceptions.raise_compiler_error("A contract is kept by incremental models only: " ~ model.name) -%}
    {%- endif -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement("main") -%}
        create or replace {{ type }} {{ new }} as (
            {{ rows_of(sql) }}
        )
    {%- endcall %}
    {%- do persist_docs(new, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {%- do return({"relations": [new]}) -%}
{% endmacro %}
