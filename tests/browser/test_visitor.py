"""A visitor chooses from a list that does not hold still: pages are drawn anew while it is open."""

import pytest
from visitor import Visitor

# A list that opens at a click. FIRST: what becomes of its option at the first opening; at the others a click takes it.
PAGE = """<div class="st-key-fruit"><input role="combobox"></div><div id="list"></div><script>
let openings = 0;
const list = document.querySelector('#list'), box = document.querySelector('input');
const hide = () => list.replaceChildren();
box.onclick = () => {
    list.innerHTML = '<div role="option" style="position: absolute">pear</div>';
    const option = list.firstChild, take = () => { box.value = 'pear' };
    (openings++ ? usual : first)(option, take);
};
const usual = (option, take) => option.onclick = () => { take(); hide() };
const first = FIRST;
</script>"""
CLOSED = """(option, take) => {  // never at rest, so that no click lands, and then closed by a page drawn anew
    option.animate([{left: 0}, {left: '300px'}], {duration: 100, iterations: 1e6}); setTimeout(hide, 500) }"""
SLOW = "(option, take) => option.onclick = () => { take(); setTimeout(hide, 2500) }"
DEAF = "(option, take) => { let heard = 0; option.onclick = () => { if (heard++) { take(); hide() } } }"


@pytest.fixture
def fruits(chromium):
    """fruits(first): a visitor at a page with one list."""
    context = chromium.new_context()

    def call(first: str) -> Visitor:
        visitor = Visitor(context, "about:blank")
        visitor.page.set_content(PAGE.replace("FIRST", first))
        return visitor

    yield call
    context.close()


@pytest.mark.parametrize("first", [CLOSED, SLOW, DEAF], ids=["closed before the click", "closes slowly", "scrolls"])
def test_an_option_is_chosen_whatever_its_list_does(fruits, first):
    visitor = fruits(first)
    visitor.choose("fruit", "pear")
    assert visitor.page.locator("input").input_value() == "pear"
    assert visitor.page.get_by_role("option").count() == 0


def test_what_is_no_option_is_not_chosen(fruits, monkeypatch):
    monkeypatch.setattr("visitor.SHORT", 0.1)
    visitor = fruits("usual")
    with pytest.raises(AssertionError, match="'plum' cannot be picked"):
        visitor.choose("fruit", "plum")
