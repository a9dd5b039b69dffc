"""The style sheet of the report's page."""

from noisyweb.report.style import DARK, GRID, INK, PALE, PAPER

STYLE = f"""
:root {{ color-scheme: light dark; --ink: {INK}; --pale: {PALE}; --line: {GRID}; --card: {PAPER}; --page: #f5f7f9;
  --link: #24618f; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: {DARK[INK]}; --pale: {DARK[PALE]}; --line: {DARK[GRID]}; --card: {DARK[PAPER]}; --page: #0d1117;
    --link: #7db8e8; }}
  img:not([src^="data:image/svg"]) {{ filter: brightness(.88); }}
}}
* {{ box-sizing: border-box; }}
html {{ scroll-behavior: smooth; scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }}
body {{ margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 82rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.9rem; line-height: 1.2; margin: 0 0 .6rem; }}
h2 {{ font-size: 1.35rem; line-height: 1.25; margin: 0 0 .6rem; }}
p {{ margin: 0 0 .8rem; max-width: 48rem; }}
header p {{ color: var(--pale); }}
a {{ color: var(--link); }}
code {{ font: .88em ui-monospace, Menlo, Consolas, monospace; background: var(--page); border: 1px solid var(--line);
  border-radius: 4px; padding: .05em .3em; }}
nav ol {{ list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .4rem; }}
nav a {{ display: block; padding: .3rem .75rem; border: 1px solid var(--line); border-radius: 1rem;
  background: var(--card); text-decoration: none; font-size: .9rem; }}
nav a:hover {{ border-color: var(--link); }}
section {{ margin: 1.5rem 0 0; padding: 1.3rem 1.4rem 1.4rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px; }}
.lead {{ font-size: 1.08rem; }}
.missing {{ color: var(--pale); background: var(--page); border-left: 4px solid var(--line); padding: .8rem 1rem;
  border-radius: 0 8px 8px 0; margin: 0; }}
.figures {{ columns: 27rem 2; column-gap: 2rem; margin: 1.2rem 0 0; }}
figure {{ margin: 0; padding: 0 0 1.6rem; break-inside: avoid; }}
figure.wide {{ column-span: all; }}
figure img {{ display: block; max-width: 100%; height: auto; border-radius: 6px; }}
figcaption, .caption {{ color: var(--pale); font-size: .9rem; margin: .4rem 0 0; max-width: 48rem; }}
.files a {{ margin-right: .6rem; font-size: .8rem; white-space: nowrap; }}
.table {{ margin: 0 0 1.2rem; }}
.box {{ overflow-x: auto; max-height: 50rem; border: 1px solid var(--line); border-radius: 8px; margin-top: .4rem; }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .8rem; border-bottom: 1px solid var(--line);
  max-width: 26rem; min-width: 4.5rem; overflow-wrap: break-word; }}
tbody tr:last-child td {{ border-bottom: 0; }}
th {{ position: sticky; top: 0; background: var(--card); color: var(--pale); font-weight: 600; white-space: nowrap; }}
.n, .s {{ white-space: nowrap; }}
.n {{ text-align: right; }}
details {{ margin: 1rem 0; border-top: 1px solid var(--line); padding-top: .6rem; }}
summary {{ cursor: pointer; color: var(--link); padding: .3rem 0; }}
footer {{ margin-top: 2rem; color: var(--pale); font-size: .9rem; }}
@media (min-width: 70rem) {{
  body {{ display: grid; grid-template-columns: 12.5rem minmax(0, 1fr); gap: 0 2.2rem; }}
  header, footer {{ grid-column: 2; }}
  nav {{ grid-column: 1; grid-row: 1 / span 3; position: sticky; top: 1.5rem; align-self: start; }}
  nav ol {{ flex-direction: column; gap: .1rem; }}
  nav a {{ border-color: transparent; background: none; padding: .35rem .7rem; }}
}}
@media (max-width: 40rem) {{
  body {{ padding: 1rem .5rem 2rem; }}
  header, nav, footer {{ padding: 0 .4rem; }}
  h1 {{ font-size: 1.5rem; }}
  section {{ padding: 1rem .8rem; }}
  .prose thead {{ display: none; }}
  .prose tr {{ display: block; padding: .6rem .8rem; border-bottom: 1px solid var(--line); }}
  .prose td {{ display: block; border: 0; padding: .1rem 0; max-width: none; text-align: left; white-space: normal; }}
  .prose td:empty {{ display: none; }}
  .prose td::before {{ content: attr(data-name) ": "; color: var(--pale); }}
  .prose td:first-child::before {{ content: none; }}
  .prose td:first-child {{ font-weight: 600; }}
  .box:has(.prose) {{ max-height: none; }}
}}
@media print {{
  body {{ display: block; max-width: none; background: #fff; }}
  nav {{ display: none; }}
  section {{ border: 0; padding: 0; }}
  figure, .table {{ break-inside: avoid; }}
  .box {{ max-height: none; overflow: visible; }}
}}
"""
