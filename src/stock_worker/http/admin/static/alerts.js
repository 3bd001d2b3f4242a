// What the alerts' page has beside app.js: choosing rows, its keys, and its dialogs after a change.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const open = () => document.querySelector("dialog[open]");

  // Says how many are chosen on the button that dismisses them, which waits for some.
  const count = () => {
    const button = byId("dismiss-chosen");
    if (!button) return;
    const chosen = document.querySelectorAll("#chosen [name=alert]:checked").length;
    button.disabled = !chosen;
    button.textContent = chosen ? `Dismiss ${chosen} chosen` : "Dismiss chosen";
  };

  document.addEventListener("change", (event) => { if (event.target.name === "alert") count(); });
  document.addEventListener("htmx:load", count);

  // Who comes back to the page sees it as it is now; while somebody chooses or fills in, nothing moves.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !open() && !document.querySelector("#chosen :checked")) htmx.trigger("#alerts", "alerts-changed");
  });

  // A changed list stands where it stood: the focus goes to the row that took the place of the one that had it.
  let place = -1;
  const rows = () => [...document.querySelectorAll("#alerts tr[data-item]")];

  document.addEventListener("alerts-changed", () => {
    if (open()) open().close(); // which gives the focus back to its opener
    place = rows().findIndex((row) => row.contains(document.activeElement));
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target.id !== "alerts" || place < 0) return;
    const there = rows()[Math.min(place, rows().length - 1)];
    const next = there ? there.querySelector(".action a:last-child") : byId("search");
    if (next && document.activeElement === document.body) next.focus();
    place = -1;
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || open() || event.target.matches("input:not([type=checkbox]), select")) return;
    const row = event.target.closest("#alerts tr[data-item]");
    if (!row) return;
    const act = { x: "pick-", d: "dismiss-", t: "rule-" }[event.key];
    const found = act && byId(act + row.dataset.item);
    if (!found) return;
    event.preventDefault();
    found.click();
  });
})();
