"""Who is in the generated data and what one event of it looks like, as DuckDB SQL.

Lines are bodies of Customer.io's track API v1 with the person beside them.

Everything about event `e` is a function of `e` and the seed, so that a repeated line is byte for byte the
line it repeats, and any range of lines can be written alone.

    lines          one in fifty repeats an earlier line, at most two landing days back
    events         35 % carry only an anonymous_id; the others a customer_id, an email or both
    people         40,000 for a million events, one in ten without a customer_id
    devices        30,000 for a million events; every third belongs to a person, who sends it along at times
    event names    8 % order.completed, with order_id, total and currency

People and devices without an owner together make about 60,000 contacts for a million events. Activity is
skewed: the busiest people have tens of times the events of the average one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

REPEAT_EVERY = 50
FIRST_DAY = date(2026, 1, 1)
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Population:
    """The size and the seed of a data set: `events` lines over `days` landing days."""

    events: int
    days: int
    seed: int

    def __post_init__(self) -> None:
        if self.events < 1 or self.days < 1:
            raise ValueError(f"events and days must be positive, got {self.events} and {self.days}")

    @property
    def people(self) -> int:
        return max(1, self.events * 4 // 100)

    @property
    def devices(self) -> int:
        return max(1, self.events * 3 // 100)

    @property
    def lines_per_day(self) -> int:
        return -(-self.events // self.days)

    @property
    def lines_per_following_day(self) -> int:
        return max(1, self.events // 100)

    def distinct_events(self, lines: int) -> int:
        """Events that remain of the first `lines` lines when repeated ones are counted once."""
        return lines - lines // REPEAT_EVERY


@dataclass(frozen=True)
class LandingDay:
    """The lines `first` to `last` (exclusive); those that repeat nothing happened on `day` (UTC)."""

    day: date
    first: int
    last: int


def landing_days(population: Population) -> list[LandingDay]:
    """The days of the first load, in order; there are fewer than `days` when lines are few."""
    step = population.lines_per_day
    return [
        LandingDay(FIRST_DAY + timedelta(days=number), first, min(first + step, population.events))
        for number, first in enumerate(range(0, population.events, step))
    ]


def following_day(population: Population, number: int) -> LandingDay:
    """The `number`th (from 0) landing day after the first load: 1 % new lines over the same people."""
    step = population.lines_per_following_day
    first = population.events + number * step
    return LandingDay(FIRST_DAY + timedelta(days=population.days + number), first, first + step)


def loaded_at(population: Population) -> date:
    """The day that the first load is computed for: when the data had just come in, whenever the benchmark runs."""
    return FIRST_DAY + timedelta(days=population.days + 1)


def following_at(population: Population, number: int) -> date:
    """The day that the load of the `number`th following day is computed for."""
    return loaded_at(population) + timedelta(days=1 + number)


def lines_sql(population: Population, landing: LandingDay) -> str:
    """A query for the landing day's JSON lines: one text column, `line`, in order."""
    return _LINES.format(
        seed=population.seed,
        people=population.people,
        devices=population.devices,
        events=population.events,
        days=population.days,
        per_day=population.lines_per_day,
        per_following_day=population.lines_per_following_day,
        look_back=2 * population.lines_per_day,
        first=landing.first,
        last=landing.last,
        every=REPEAT_EVERY,
        origin=int(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC).timestamp()),
        day_seconds=SECONDS_PER_DAY,
    )


# 18446744073709551616 is 2^64: hash() gives 64 bits. No line repeats a line that is itself a repeat, so the
# number of distinct events is known beforehand. The unique key has the form of a ULID, as Customer.io asks.
_LINES = """
with

numbered as (
    select
        line_number,
        hash(line_number, {seed}, 'back') % least({look_back}, line_number) as steps_back,
        line_number - 1 - steps_back::bigint as earlier,
    from range({first}, {last}) as lines (line_number)
),

events as (
    select
        line_number,
        case
            when line_number % {every} <> {every} - 1 then line_number
            when earlier % {every} = {every} - 1 then earlier - 1
            else earlier
        end as e,
    from numbered
),

rolled as (
    select
        line_number,
        e,
        case
            when e < {events} then e // {per_day}
            else {days} + (e - {events}) // {per_following_day}
        end as day_number,
        case
            when e < {events} then (e % {per_day}) / {per_day}::double
            else ((e - {events}) % {per_following_day}) / {per_following_day}::double
        end as time_of_day,
        hash(e, {seed}, 'kind') % 1000 as kind_roll,
        hash(e, {seed}, 'who') % 100 as who_roll,
        floor({people} * power(hash(e, {seed}, 'person') / 18446744073709551616.0, 1.5))::bigint as person,
        floor({devices} * power(hash(e, {seed}, 'device') / 18446744073709551616.0, 1.5))::bigint as device,
        hash(e, {seed}, 'link') % 100 as link_roll,
        hash(e, {seed}, 'goods') as goods,
        hash(e, {seed}, 'key') as key_bits,
        hash(e, {seed}, 'session') as session_bits,
    from events
),

described as (
    select
        *,
        who_roll < 35 as is_anonymous,
        who_roll >= 35 and who_roll < 80 and person % 10 <> 7 as has_customer_id,
        who_roll >= 60 or (who_roll >= 35 and person % 10 = 7) as has_email,
        case
            when who_roll < 35 then device
            when person % 4 = 0 and link_roll < 40 and 3 * (person // 4) < {devices} then 3 * (person // 4)
        end as device_sent,
        case
            when kind_roll < 80 then 'order.completed'
            when kind_roll < 160 then 'checkout.started'
            when kind_roll < 280 then 'cart.item_added'
            when kind_roll < 360 then 'search.performed'
            when kind_roll < 400 then 'email.clicked'
            when kind_roll < 680 then 'product.viewed'
            else 'page.viewed'
        end as event_name,
        ['shoes', 'jackets', 'lamps', 'garden', 'books', 'kitchen', 'toys', 'audio'] as categories,
        categories[1 + (goods % 8)::int] as category,
        goods % 5000 as product,
        ((goods >> 16) % 19900 + 100) as cents,
        1 + (goods >> 40) % 3 as quantity,
    from rolled
)

select
    '{{"name":"' || event_name
    || '","id":"01' || printf('%08X', e) || printf('%016X', key_bits)
    || '","timestamp":'
    || ({origin} + day_number * {day_seconds} + floor(time_of_day * {day_seconds})::bigint)
    || case when has_customer_id then ',"customer_id":"C' || (1000000 + person) || '"' else '' end
    || case
        when has_email then ',"email":"reader.' || person || '@mail' || (person % 7) || '.example.com"'
        else ''
    end
    || case
        when device_sent is not null
            then ',"anonymous_id":"' || printf('%016x', hash(device_sent, {seed}, 'device id'))
                || '-' || device_sent || '"'
        else ''
    end
    || ',"data":{{'
    || case event_name
        when 'order.completed'
            then '"order_id":"o-' || e || '","total":' || (cents * quantity / 100)::decimal(12, 2)
                || ',"currency":"USD","quantity":' || quantity || ','
        when 'search.performed'
            then '"query":"' || category || ' size ' || (36 + goods % 12)
                || '","results":' || product || ','
        when 'email.clicked'
            then '"campaign":"spring-' || (goods % 40)
                || '","link":"https://shop.example.com/' || category || '",'
        when 'page.viewed'
            then '"title":"Everything for ' || category || '","seconds":' || (cents % 240) || ','
        else '"product_id":"sku-' || product || '","price":' || (cents / 100)::decimal(12, 2)
            || ',"quantity":' || quantity || ','
    end
    || '"category":"' || category
    || '","page":"https://shop.example.com/' || category || '/' || product
    || '?ref=' || (session_bits % 100000)
    || '","session":"' || printf('%016x', session_bits)
    || '","device":"' || ['mobile', 'desktop', 'tablet'][1 + (session_bits % 3)::int]
    || '","member":' || (person % 3 = 0) || '}}}}' as line,
from described
"""
