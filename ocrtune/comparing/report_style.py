"""How the HTML report looks: one style sheet, no fonts or scripts from anywhere."""

STYLE = """
:root { --ink: #23272f; --soft: #5b6470; --line: #e3e7ec; --paper: #ffffff; --back: #f4f6f8;
        --before: #d9822b; --after: #1f5fa8; --good: #1a7f4b; --bad: #b3261e; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--back); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 32px 20px 64px; }
section, header { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 24px 28px; margin: 0 0 20px; }
h1 { font-size: 15px; font-weight: 600; color: var(--soft); margin: 0 0 10px; letter-spacing: .01em; }
h2 { font-size: 19px; margin: 0 0 14px; }
h3 { font-size: 15px; margin: 22px 0 8px; overflow-wrap: anywhere; }
p { margin: 0 0 12px; max-width: 78ch; } p:last-child { margin-bottom: 0; }
.verdict { font-size: 23px; line-height: 1.35; font-weight: 600; margin: 0 0 20px; max-width: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px; margin: 0 0 18px; }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 28px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.tile.before { border-top: 4px solid var(--before); } .tile.after { border-top: 4px solid var(--after); }
.tile.good { border-top: 4px solid var(--good); } .tile.bad { border-top: 4px solid var(--bad); }
.tile.even { border-top: 4px solid #98a1ad; }
ul.gate { list-style: none; padding: 0; margin: 14px 0 0; display: flex; flex-wrap: wrap; gap: 8px; }
ul.gate li { font-size: 13px; border-radius: 999px; padding: 4px 12px; background: #e8f5ee; color: #115c36; }
ul.gate li.failed { background: #fbe9e7; color: #8c1d16; }
ul.gate li.open { background: #eef0f3; color: var(--soft); }
code { font: .92em ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.wide { overflow-x: auto; margin: 0 0 14px; } .wide:last-child { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: var(--soft); vertical-align: bottom;
     border-bottom: 2px solid var(--line); padding: 6px 12px; }
td { text-align: right; border-bottom: 1px solid var(--line); padding: 6px 12px; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
th.text, td.text { text-align: left; white-space: normal; }
td.text { overflow-wrap: anywhere; }
details summary { cursor: pointer; color: var(--after); margin: 8px 0; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: 13px; margin: 2px 0 18px; }
figure img { max-width: 100%; height: auto; display: block; margin: 0 auto; }
.page { border-top: 1px solid var(--line); padding: 18px 0 8px; }
.page img { max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px;
            background: #fff; padding: 4px; display: block; }
.page dl { display: grid; grid-template-columns: minmax(110px, max-content) 1fr; gap: 4px 16px; margin: 12px 0 0; }
.page dt { color: var(--soft); font-size: 13px; padding-top: 2px; } .page dd { margin: 0; overflow-wrap: anywhere; }
.page dt b { color: var(--ink); font-variant-numeric: tabular-nums; }
mark, ins, del { text-decoration: none; border-radius: 3px; padding: 0 1px; }
mark { background: #fde0b8; color: #7a3d00; border-bottom: 2px solid #e08a1e; }
ins { background: #f8d2cf; color: #8c1d16; border-bottom: 2px solid #c4463d; }
del { background: #dfe7f1; color: #3c5675; text-decoration: line-through; }
footer { color: var(--soft); font-size: 13px; }
@media (max-width: 640px) { main { padding: 12px 8px 40px; } section, header { padding: 18px 16px; } .verdict { font-size: 20px; }
                            .page dl { grid-template-columns: 1fr; } }
@media print { body { background: #fff; } section, header { border: 0; padding: 0 0 16px; } .page { break-inside: avoid; } }
"""
