"""Draw what stands now: hosts with their tasks and GPUs, services, the network, what each costs, and what is wrong, why.

stdout is the picture, as SVG or with --html as a page for a browser: no JSON. Each box bears what it costs an hour, and is
red where something is wrong, with the reason. Changes nothing. What has only a name is known from AWS's index of tags, which
is a minute or two late.

    python draw_cluster.py > cluster.svg
    python draw_cluster.py --html > cluster.html     with a legend, and what is wrong as a table
"""

import sys
from typing import Any

import aws
import console
import constants
from infrastructure.picture import layout, seen, svg, whole


@aws.page(of="cluster", lines=True, html="a page for a browser: with a legend, and with what is wrong as a table")
def draw_cluster(html: bool = False) -> dict[str, Any]:
    seen.look()
    whole.required()
    at = f"{aws.this_minute():%Y-%m-%d %H:%M} UTC"
    picture = layout.place(whole.picture(at))
    write = svg.page if html else svg.document
    text = write(picture, f"ECS cluster {constants.CLUSTER_NAME} in {aws.region()}, {at}")
    if not console.without_result:
        console.output(text)
    return {"picture": text, "wrong": {each.arn: each.wrong for each in picture.every() if each.wrong and each.arn}}


if __name__ == "__main__":
    sys.exit(aws.main(draw_cluster, __doc__))
