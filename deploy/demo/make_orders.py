#!/usr/bin/env python3
"""Makes orders.csv, the demo's data: the orders of an invented shop, the same bytes at every run."""

import csv
import datetime
import pathlib
import random

ROWS = 4000
REGIONS = {"north": 0.34, "south": 0.27, "west": 0.22, "east": 0.17}
PRODUCTS = {"kettle": 39.0, "toaster": 54.5, "grinder": 89.0, "scale": 24.9, "press": 31.5, "lamp": 62.0}


def orders(rng):
    start = datetime.date(2025, 1, 1)
    for number in range(1, ROWS + 1):
        # More is ordered toward the end of the year, and some orders come back.
        day = start + datetime.timedelta(days=int(364 * rng.betavariate(2.0, 1.4)))
        region = rng.choices(list(REGIONS), REGIONS.values())[0]
        product = rng.choice(list(PRODUCTS))
        quantity = 1 + int(rng.expovariate(0.9))
        discount = rng.choice([0, 0, 0, 5, 10, 15])
        price = round(PRODUCTS[product] * (100 - discount) / 100, 2)
        status = "returned" if rng.random() < 0.06 else "delivered"
        yield [f"A{number:05}", day.isoformat(), region, product, quantity, f"{price:.2f}", discount, status]


def main():
    path = pathlib.Path(__file__).with_name("orders.csv")
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["order", "date", "region", "product", "quantity", "unit_price", "discount_pct", "status"])
        writer.writerows(orders(random.Random(7400)))
    print(f"{path.name}: {ROWS} orders")


if __name__ == "__main__":
    main()
