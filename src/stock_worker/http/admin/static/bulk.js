// Which rows are chosen. A row that moves is another element afterwards, so they are kept by their items.
// What is chosen is shown: a filter, another order or another page lets go of what it takes away.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const chosen = new Set();
  let last = ""; // the row that was chosen or let go last, where a range begins

  const boxes = () => [...document.querySelectorAll("tbody input[name=item]")];

  const show = () => {
    const all = boxes();
    for (const box of all) box.checked = chosen.has(box.value);
    const whole = byId("pick-all");
    if (whole) {
      whole.checked = all.length > 0 && chosen.size === all.length;
      whole.indeterminate = chosen.size > 0 && !whole.checked;
    }
    byId("selected").value = String(chosen.size);
  };

  const pick = (items, on) => {
    for (const item of items) {
      if (on) chosen.add(item);
      else chosen.delete(item);
    }
    show();
  };

  document.addEventListener("click", (event) => {
    const box = event.target;
    if (!box.matches("tbody input[name=item]")) return;
    const items = boxes().map((each) => each.value);
    const ends = [items.indexOf(event.shiftKey && items.includes(last) ? last : box.value), items.indexOf(box.value)];
    last = box.value;
    pick(items.slice(Math.min(...ends), Math.max(...ends) + 1), box.checked);
  });

  document.addEventListener("change", (event) => {
    if (event.target.id === "pick-all") pick(boxes().map((box) => box.value), event.target.checked);
  });

  // What has the focus goes with what is chosen, or with the bar that says so.
  const clear = () => {
    pick([...chosen], false);
    if (byId("pick-all")) byId("pick-all").focus();
  };

  byId("selection").addEventListener("reset", (event) => {
    event.preventDefault();
    clear();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const row = event.target.closest("tr[data-item]");
    if (row && event.key === "x") row.querySelector("input[name=item]").click();
    else if (event.key === "Escape" && chosen.size && !event.target.matches("[type=search]")) clear();
  });

  document.addEventListener("htmx:load", (event) => {
    if (!event.target.matches("#results, tr[data-item]")) return;
    const there = new Set(boxes().map((box) => box.value));
    for (const item of chosen) if (!there.has(item)) chosen.delete(item);
    show();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "bulk-body") {
      pick([...document.querySelectorAll("#bulk [data-booked]")].map((each) => each.dataset.booked), false);
    }
  });

  document.addEventListener("adjusted", () => {
    if (!byId("bulk").open) return;
    byId("bulk").close();
    clear();
  });

  pick(boxes().filter((box) => box.checked).map((box) => box.value), true); // as the browser brings a page back
})();
