"""The studio in a real browser, over the running app, on a project that the pipeline made: each page's main act.

The tests share one project and run in their order; each leaves what it changed as the next one expects it.
"""
# ruff: noqa: F811 - fixtures, imported and named again as arguments

import json
import shlex
import shutil
from urllib.parse import quote

import yaml

from tests.studio_browser import PATIENCE_MS, address, browser, choose, list_compared, page, project, start, wait_for  # noqa: F401
from tests.studio_project import ARABIC, CHINESE, ROOT, SCRIPT

EDITED = "corrected by hand: <b>ﬀ</b> 台北"


def test_results_show_the_worst_page_as_text(page):
    page.goto("/")
    page.wait_for_selector("#results-detail .detail")
    choose(page, "#results-name", "base")
    wait_for(page, "#results-detail", "<script>")
    assert page.inner_text("#results-detail .text.prediction .body").replace("␣", " ") == SCRIPT
    assert page.locator("#results-list .row").count() == 50
    assert page.locator("#results-list .row .pill").first.inner_text() > "200"
    page.wait_for_function("document.querySelector('.viewer.crop img').naturalWidth > 0")
    page.wait_for_function("document.querySelector('.viewer.source .box').offsetWidth > 0")  # where it lies on its page

    page.fill("#results-search textarea, #results-search input", "بسم الله")
    wait_for(page, "#results-detail .prediction", ARABIC.split()[2])
    left, right = page.evaluate("""() => {
        const marks = [...document.querySelectorAll('#results-detail .text.prediction .body mark')];
        const letters = marks.find(mark => mark.textContent.length > 2).firstChild, range = document.createRange();
        return [0, 2].map(at => { range.setStart(letters, at); range.setEnd(letters, at + 1); return range.getBoundingClientRect().left; });
    }""")
    assert left > right  # the first letter stands to the right of a later one

    page.fill("#results-search textarea, #results-search input", CHINESE[:4])
    wait_for(page, "#results-detail .prediction", CHINESE)
    assert page.inner_text("#results-list .row.picked .said") == CHINESE
    page.wait_for_url(f"**/?results=base&search={quote(CHINESE[:4])}&page_id=*")


def test_keys_walk_in_sight_and_back_returns_to_the_row(page):
    page.goto("/")
    page.wait_for_selector("#results-detail .detail")
    choose(page, "#results-name", "base")
    wait_for(page, "#results-detail", "<script>")
    rows = page.locator("#results-list .row").evaluate_all("rows => rows.map(row => row.dataset.pick)")
    for pick in rows[1:20]:
        page.keyboard.press("j")
        wait_for(page, "#results-detail h3", pick)
    page.wait_for_function("""() => {
        const list = document.querySelector('#results-list .list'), row = list.querySelector('.row.picked');
        const box = list.getBoundingClientRect(), at = row.getBoundingClientRect();
        return list.scrollTop > 0 && at.top >= box.top - 1 && at.bottom <= box.bottom + 1;
    }""")
    page.wait_for_url(f"**/?results=base&page_id={rows[19]}")
    page.click("text=correct this label")
    page.wait_for_url("**/review?page=*")
    page.go_back()
    wait_for(page, "#results-detail h3", rows[19])
    assert page.input_value("#results-name input") == "base"
    assert page.get_attribute("#results-list .row.picked", "data-pick") == rows[19]


def test_an_error_leaves_no_figures_of_what_was_shown_before(page, project):
    broken = project.folder / "data/predictions/broken.jsonl"
    broken.write_text("{\n")
    try:
        page.goto("/")
        page.wait_for_selector("#results-list .row")
        choose(page, "#results-name", "broken")
        wait_for(page, "#results-detail .notice.bad", "data/predictions/broken.jsonl:1: not JSON")
        assert [page.inner_text(f"#results-{part}") for part in ("list", "figures")] == ["", ""]
        page.goto("/compare?reader1=base&reader2=broken")
        wait_for(page, "#compare-detail .notice.bad", "data/predictions/broken.jsonl:1: not JSON")
        assert [page.inner_text(f"#compare-{part}") for part in ("list", "figures", "verdict")] == ["", "", ""]
    finally:
        broken.unlink()


def test_nothing_is_wider_than_a_telephone(page):
    page.set_viewport_size({"width": 420, "height": 900})
    for path, shown in (("/", "#results-list .row"), ("/compare", "#compare-list .row"), ("/review", "#review-queue .row"),
                        ("/runs", "#runs-table table")):
        page.goto(path)
        page.wait_for_selector(shown)
        wide = page.evaluate("""() => [...document.querySelectorAll('.pill, .chip, .figure, .row, .wide, .curve, .notice')]
            .filter(element => !element.closest('table') && (element.getBoundingClientRect().right > innerWidth
                || !element.matches('.wide') && element.scrollWidth > element.parentElement.clientWidth))
            .map(element => element.outerHTML)""")
        assert wide == [], path
        pills = page.locator(".pill").evaluate_all("pills => pills.map(pill => pill.getClientRects().length)")
        assert set(pills) <= {0, 1}, path  # none breaks in two


def test_a_picture_is_zoomed_moved_and_made_large(page):
    page.goto("/")
    viewer = page.locator("#results-detail .viewer.crop")
    page.wait_for_function("document.querySelector('.viewer.crop .stage') && document.querySelector('.viewer.crop .stage').style.transform")
    before = viewer.locator(".stage").get_attribute("style")
    viewer.hover()
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"document.querySelector('.viewer.crop .stage').getAttribute('style') != {json.dumps(before)}")
    page.keyboard.press("z")
    assert viewer.bounding_box()["width"] > 1300
    page.keyboard.press("Escape")
    assert viewer.bounding_box()["width"] < 1000


def test_each_line_is_shown_in_its_place_when_the_next_lies_on_the_same_page(page):
    page.goto("/")
    page.wait_for_selector("#results-detail .viewer.source")
    others = page.locator("#results-list .row:not(.picked)").evaluate_all("rows => rows.map(row => row.dataset.pick)")
    for pick in sorted(others)[:5]:  # of one document and page
        page.click(f'#results-list [data-pick="{pick}"]')
        wait_for(page, "#results-detail h3", pick)
        page.wait_for_function("document.querySelector('.viewer.source .box').offsetWidth > 0")


def test_compare_jumps_to_gains_and_back_in_history(page, project):
    page.goto("/compare")
    wait_for(page, "#compare-verdict", "tuned reads better than base")
    wait_for(page, "#compare-verdict", "The gate passes: all pages.")
    page.wait_for_selector("#compare-detail .detail")
    first = page.inner_text("#compare-list .row .gain >> nth=0")
    assert float(first.split()[0]) < -200
    assert page.locator("#compare-detail .columns .text").count() == 2
    address = page.url
    page.locator("#compare-list .row").first.focus()
    page.keyboard.press("l")
    page.wait_for_function("document.querySelector('#compare-list .row .gain, #compare-list .row .quiet').innerText.includes('±0')")
    page.goto(f"{address}&order=document+and+page&reader1=tuned&reader2=base".replace("reader1=base&reader2=tuned&", ""))
    wait_for(page, "#compare-verdict", "base reads worse than tuned")  # of the readers that are chosen, not of the pipeline's
    assert page.input_value("#compare-order input") == "document and page"
    picked = page.get_attribute("#compare-list .row.picked", "data-pick")
    assert f"page_id={picked}" in address


def test_review_corrects_by_keys_and_takes_back(page, project):
    page.goto("/review")
    page.wait_for_selector("#review-picture .viewer")
    picked = page.get_attribute("#review-queue .row.picked", "data-pick")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(EDITED)
    page.keyboard.press("Control+Enter")
    wait_for(page, "#review-said", f"{picked}: saved")
    assert [(row["page_id"], row["text"], sorted(row)) for row in project.rows("data/gold.jsonl")] == [
        (picked, EDITED, ["page_id", "sha256", "text"])]
    second = page.get_attribute("#review-queue .row.picked", "data-pick")
    assert second != picked
    page.keyboard.press("r")
    wait_for(page, "#review-said", f"{second}: rejected")
    assert {row["page_id"]: row["text"] for row in project.rows("data/gold.jsonl")} == {picked: EDITED, second: None}
    page.keyboard.press("u")
    wait_for(page, "#review-said", f"{second}: undone")
    assert [row["page_id"] for row in project.rows("data/gold.jsonl")] == [picked]
    page.click("#review-commit")
    wait_for(page, "#review-said", "committed")
    assert project.run("git", "log", "-1", "--format=%an %s", "--stat").splitlines()[0] == "Toni Gold: 1 row checked"
    assert project.run("git", "show", "--name-only", "--format=").split() == ["data/gold.jsonl"]


def slow_down(page, latency_ms: int) -> None:
    """Let each request take its time, as over a network."""
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", {
        "offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1})


def test_no_page_gets_a_text_or_a_decision_of_another(page, project):
    """Keys are quicker than answers: what is pressed meanwhile must not meet the next page."""
    shown = "document.querySelector('#review-queue .row.picked').dataset.pick"
    gold = project.rows("data/gold.jsonl")
    page.goto("/review")
    page.wait_for_selector("#review-picture .viewer")
    slow_down(page, 300)
    queue = page.locator("#review-queue .row").evaluate_all("rows => rows.map(row => row.dataset.pick)")
    for step in range(1, 4):
        page.keyboard.press("j")
        page.keyboard.press("a")  # nobody has seen that page
        page.wait_for_function(f"{shown} == {queue[step]!r}")
    page.keyboard.type("kkk")
    page.wait_for_function(f"{shown} == {queue[0]!r}")
    page.click(f'#review-queue [data-pick="{queue[2]}"]')
    page.click("#review-reject")
    page.wait_for_function(f"{shown} == {queue[2]!r}")
    page.keyboard.press("(")  # a key of no button
    assert project.rows("data/gold.jsonl") == gold
    page.keyboard.press("r")
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("Jar by")
    wait_for(page, "#review-said", f"{queue[2]}: rejected")
    page.wait_for_function("document.querySelector('#review-text textarea').value == 'Jar by'")
    page.keyboard.press("Control+Enter")
    wait_for(page, "#review-said", f"{queue[3]}: saved")
    found = {row["page_id"]: row["text"] for row in project.rows("data/gold.jsonl") if row not in gold}
    assert found == {queue[2]: None, queue[3]: "Jar by"}
    for _ in found:
        page.keyboard.press("u")
    wait_for(page, "#review-said", f"{queue[2]}: undone")
    assert project.rows("data/gold.jsonl") == gold


def test_a_key_held_down_decides_once(page, project):
    gold = project.rows("data/gold.jsonl")
    page.goto("/review")
    page.wait_for_selector("#review-picture .viewer")
    picked = page.get_attribute("#review-queue .row.picked", "data-pick")
    page.keyboard.down("r")
    wait_for(page, "#review-said", f"{picked}: rejected")
    for _ in range(20):
        page.keyboard.down("r")  # as the keyboard repeats it
        page.wait_for_timeout(30)
    page.keyboard.up("r")
    assert len(project.rows("data/gold.jsonl")) == len(gold) + 1
    page.reload()  # what can be undone outlives it
    page.wait_for_selector("#review-picture .viewer")
    page.keyboard.press("u")
    wait_for(page, "#review-said", f"{picked}: undone")
    assert project.rows("data/gold.jsonl") == gold


def test_a_changed_text_waits_for_its_page(page, browser, project):
    process, address = start(project)
    context = browser.new_context(base_url=address)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/review")
    page.wait_for_selector("#review-picture .viewer")
    first, second = page.locator("#review-queue .row").evaluate_all("rows => rows.slice(0, 2).map(row => row.dataset.pick)")
    page.fill("#review-text textarea", "")
    page.keyboard.press("Escape")
    page.keyboard.press("1")  # another reader's text
    other = page.evaluate("JSON.parse(document.querySelector('[data-take]').dataset.take)") + " and more"
    page.keyboard.press("e")
    page.keyboard.type(" and more")
    assert page.input_value("#review-text textarea") == other
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    wait_for(page, "#review-picture h3", second)
    wait_for(page, f'#review-queue [data-pick="{first}"]', "changed, not saved")
    page.keyboard.press("k")
    wait_for(page, "#review-said", f"{first}: as you changed it")
    assert page.input_value("#review-text textarea") == other
    page.fill("#review-text textarea", " ")
    page.click("#review-accept")
    wait_for(page, "#review-said", "no text to accept")
    page.fill("#review-text textarea", EDITED)
    process.kill()  # the studio is started anew
    process.wait()
    process, _ = start(project, port=int(address.rpartition(":")[2]))
    try:
        page.click("#review-accept")
        wait_for(page, "#review-said", f"{first}: ")
        if "as you changed it" in page.inner_text("#review-said"):  # Gradio reloaded the page first
            page.click("#review-accept")
        wait_for(page, "#review-said", f"{first}: saved")
        assert EDITED in [row["text"] for row in project.rows("data/gold.jsonl") if row["page_id"] == first]
        page.click("#review-undo")
        wait_for(page, "#review-said", f"{first}: undone")
        page.fill("#review-text textarea", "")
        page.keyboard.press("Escape")
        page.keyboard.press("b")
        wait_for(page, "#review-said", f"{first}: saved as blank")
        assert "" in [row["text"] for row in project.rows("data/gold.jsonl") if row["page_id"] == first]
        page.click("#review-undo")
        wait_for(page, "#review-said", f"{first}: undone")
        context.close()
    finally:
        process.terminate()
        process.wait()


def test_two_reviewers_see_each_others_work(page, browser, address, project):
    page.goto("/review")
    page.wait_for_selector("#review-picture .viewer")
    picked = page.get_attribute("#review-queue .row.picked", "data-pick")
    other = browser.new_context(base_url=address).new_page()
    other.goto(f"/review?page={picked}", timeout=PATIENCE_MS)
    other.wait_for_selector("#review-picture .viewer", timeout=PATIENCE_MS)
    other.fill("#review-text textarea", "theirs")
    other.click("#review-accept")
    other.locator("#review-said").filter(has_text="saved").wait_for(timeout=PATIENCE_MS)
    other.context.close()
    page.fill("#review-text textarea", "mine")
    page.click("#review-accept")
    wait_for(page, "#review-said", 'wrote "theirs"')
    assert "theirs" in [row["text"] for row in project.rows("data/gold.jsonl")]
    page.click("#review-accept")
    wait_for(page, "#review-said", f"{picked}: saved")
    page.click("#review-undo")
    wait_for(page, "#review-said", f"{picked}: undone")
    assert "theirs" in [row["text"] for row in project.rows("data/gold.jsonl")]


def test_prompts_are_added_tried_and_locked(page, project):
    page.goto("/prompts")
    wait_for(page, "#prompts-said", "locked")
    assert page.input_value("#prompts-reader input") == "student, as it came"  # it is here; a server may not be
    choose(page, "#prompts-reader", "misreader")
    wait_for(page, "#prompts-list .row.picked", "Extract all text")  # its own words
    for locked in ("#prompts-save", "#prompts-delete", "#prompts-user textarea"):
        assert page.is_disabled(locked), locked
    page.fill("#prompts-name textarea, #prompts-name input", "document")
    page.click("#prompts-add")
    wait_for(page, "#prompts-said", "document: misreader's own task")
    page.click("#prompts-try")
    page.wait_for_selector("#prompts-reading .newest")
    page.click("#prompts-list .row[data-pick=invoice]")
    page.wait_for_function("document.querySelector('#prompts-name textarea, #prompts-name input').value == 'invoice'")
    page.click("#prompts-try")
    wait_for(page, "#prompts-reading .newest", "INVOICE")
    assert page.locator("#prompts-reading .last").count() == 1
    assert "invoice" in json.dumps(project.server.asked[-1])
    assert page.is_enabled("#prompts-delete")
    page.click("#prompts-copy")
    wait_for(page, "#prompts-said", "invoice_1: a copy of invoice")
    page.fill("#prompts-user textarea", "Only the total: 1, 2 #3")
    page.click("#prompts-save")
    wait_for(page, "#prompts-said", "invoice_1: saved")
    tasks = yaml.safe_load((project.folder / "params.yaml").read_text(encoding="utf-8"))["prompts"]
    assert tasks["invoice_1"] == tasks["invoice"] | {"user": "Only the total: 1, 2 #3"}
    page.fill("#prompts-user textarea", "not saved yet")
    page.click("#prompts-list .row[data-pick=invoice]")
    wait_for(page, "#prompts-list [data-pick=invoice_1]", "changed, not saved")
    page.click("#prompts-list .row[data-pick=invoice_1]")
    wait_for(page, "#prompts-said", "invoice_1: as you changed it")
    assert page.input_value("#prompts-user textarea") == "not saved yet"
    page.click("#prompts-delete")
    wait_for(page, "#prompts-said", "invoice_1: deleted")
    page.click("#prompts-add")  # back again
    wait_for(page, "#prompts-said", "invoice_1: added")
    page.click("#prompts-delete")
    wait_for(page, "#prompts-said", "invoice_1: deleted")
    choose(page, "#prompts-reader", "student, as it came")
    page.click("#prompts-list .row[data-pick=ocr]")
    wait_for(page, "#prompts-said", "locked")
    page.click("#prompts-copy")  # of a task that is the image alone
    wait_for(page, "#prompts-said", "ocr_1: a copy of ocr")
    page.click("#prompts-delete")
    wait_for(page, "#prompts-said", "ocr_1: deleted")
    assert yaml.safe_load((project.folder / "params.yaml").read_text(encoding="utf-8"))["prompts"].keys() == tasks.keys() - {"invoice_1"}


def test_runs_show_what_is_stale_and_what_was_reached(page, project):
    curve = project.folder / "metrics/train/plots/metrics/eval/cer.tsv"
    page.goto("/runs")
    wait_for(page, "#runs-curves .curve", "loss1.25")
    curve.parent.mkdir()
    curve.write_text("step\tcer\n1\t0.5\n2\t0.125\n")
    wait_for(page, "#runs-curves .curve", "eval/cer0.125")  # while the page is open, as when training runs
    shutil.rmtree(curve.parent)
    wait_for(page, "#runs-stages .stage-card.stale", "split")
    wait_for(page, "#runs-stages .stage-card.fresh", "crawl")
    wait_for(page, "#runs-table", "first run")


def test_a_correction_is_used_by_the_next_run(page, project):
    """Who has never seen the project finds the worst page, corrects its label, reruns, and sees the correction used."""
    page.goto("/")
    page.wait_for_selector("#results-detail .detail")
    choose(page, "#results-name", "base")
    wait_for(page, "#results-detail", "<script>")
    worst = page.get_attribute("#results-list .row.picked", "data-pick")
    page.click("text=correct this label")
    page.wait_for_url("**/review?page=*")
    wait_for(page, "#review-picture h3", worst)
    page.fill("#review-text textarea", "the worst page, corrected")
    page.click("#review-accept")
    wait_for(page, "#review-said", f"{worst}: saved")
    project.run("dvc", "repro")
    assert {row["page_id"]: (row["text"], row["origin"]) for row in project.rows("data/splits/test.jsonl")}[worst] == (
        "the worst page, corrected", "gold")
    page.goto("/")
    page.wait_for_selector("#results-detail .detail")
    wait_for(page, "#results-detail .reference", "the worst page, corrected".replace(" ", "")[:3])
    assert "origin gold" in page.inner_text("#results-detail .counts")


def test_commits_and_experiments_stand_side_by_side(page, project):
    project.run("dvc", "exp", "run", "-n", "asked", "-S", "+evaluate.readers.base.reader.task=invoice")
    offered = list_compared(page)
    assert len(offered) == 3 and offered[2].startswith("base · ") and offered[2].endswith("first run")  # the rest is as at hand
    shown = next(line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if "dvc exp show" in line)
    table = project.run(*shlex.split(shown)[1:], "--md")
    assert [name.strip(" |") for name in table.splitlines()[0].split(" | ")] == [
        "Experiment", "tuned.cer", "tuned.char_f1", "gate.passed", "train.mode", "train.lora.r", "train.learning_rate"]
    assert "[asked]" in table
    project.run("git", "checkout", "-q", "--", ".")
    project.run("dvc", "checkout", "-q", "--force")
    assert list_compared(page) == ["base", "tuned", "base · experiment asked"]
    page.get_by_role("option", name="base · experiment asked", exact=True).click()
    wait_for(page, "#compare-detail .columns", "INVOICE")
    heads = page.locator("#compare-detail .columns .text h4").all_inner_texts()
    assert [name.split("\n")[0] for name in heads] == ["base", "tuned", "base · experiment asked"]
    page.goto("/runs")
    wait_for(page, "#runs-table tr", "experiment asked")
    cache = project.folder / ".dvc/cache"
    cache.rename(cache.with_name("away"))
    try:  # as in a fresh clone
        assert list_compared(page) == ["base", "tuned", "base · experiment asked (not in DVC's cache)"]
    finally:
        cache.with_name("away").rename(cache)


def test_only_the_projects_pictures_are_served(page, project):
    for path in ("/studio/pictures/..%2f..%2fparams.yaml", "/studio/pictures/" + "0" * 32, "/gradio_api/file=params.yaml",
                 "/gradio_api/file=/etc/passwd", "/params.yaml", "/data/gold.jsonl"):
        assert page.request.get(path).status in (403, 404), path
    assert page.request.get("/", headers={"host": "evil.example"}).status == 403


def test_a_missing_file_is_a_message(page, project):
    hidden = project.folder / "data/splits/test.hidden"
    predictions = project.folder / "data/predictions"
    predictions.rename(hidden)
    try:
        page.goto("/")
        wait_for(page, "#results-detail", "no results yet")
        page.goto("/review?page=no_such_page")
        wait_for(page, "#review-said", "no such page")
    finally:
        hidden.rename(predictions)
    pages = project.folder / "data/pages"
    pages.rename(hidden)
    try:
        page.goto("/review")
        wait_for(page, "#review-said", "No pages yet")
        for button in ("accept", "reject", "blank"):
            assert page.is_disabled(f"#review-{button}")
        page.keyboard.press("j")
        page.click("#review-commit")
        wait_for(page, "#review-said", "No pages yet")
    finally:
        hidden.rename(pages)


def test_files_of_results_can_be_given_and_others_need_a_password(browser, project, tmp_path):
    rows = [{"image": f"{name}.png", "reference": name * 2000, "prediction": name[::-1] * 2000} for name in ("abc", "xyx")]
    for name in ("one", "two"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = "--model1", str(tmp_path / "one.jsonl"), "--model2", str(tmp_path / "two.jsonl")
    process, address = start(project, *files, "--eval_dir", str(tmp_path), OCRTUNE_STUDIO_AUTH="anna:secret")
    try:
        context = browser.new_context(base_url=address)
        assert context.request.get("/").status == 401
        context = browser.new_context(base_url=address, http_credentials={"username": "anna", "password": "secret"})
        window = context.new_page()
        window.goto("/compare", timeout=PATIENCE_MS)
        window.locator("#compare-names").filter(has_text="one.jsonl").filter(has_text="two.jsonl").wait_for(timeout=PATIENCE_MS)
        window.locator("#compare-detail .columns .text").nth(1).wait_for(timeout=PATIENCE_MS)
        shares = ("[...document.querySelectorAll('#compare-detail .synchronised .body')]"
                  ".map(body => body.scrollTop / (body.scrollHeight - body.clientHeight))")
        window.evaluate("document.querySelectorAll('#compare-detail .synchronised .body')[1].scrollTop = 200")
        window.wait_for_function(f"{shares}.length == 3 && Math.min(...{shares}) > 0.02", timeout=PATIENCE_MS)  # the others follow
        found = window.evaluate(shares)
        assert max(found) - min(found) < 0.02, found
        context.close()
    finally:
        process.terminate()
        process.wait()
