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

  // The list follows the line, a second after something moved, but not below the hands of who is in it: then it waits.
  const GATHER_MS = 1000;
  const LOOK_MS = 250;
  const list = () => byId("alerts");
  let stale = false;
  let timer = 0;
  let waits = false;

  const isInUse = () => open() || document.querySelector("#chosen :checked") || list().contains(document.activeElement)
    || (matchMedia("(hover: hover)").matches && list().matches(":hover"));

  const wait = (now) => {
    if (now !== waits) document.dispatchEvent(new CustomEvent("line-note", { detail: now ? "changes wait" : "" }));
    waits = now;
  };

  const follow = async () => {
    timer = 0;
    if (isInUse()) {
      wait(true);
      timer = setTimeout(follow, LOOK_MS);
      return;
    }
    stale = false;
    try {
      await htmx.ajax("GET", list().getAttribute("hx-get"), { source: byId("live"), target: "#alerts", swap: "outerHTML" });
      wait(false);
    } catch {
      stale = true; // until the line is there again
    }
  };

  // Who came to the list while it was asked for keeps the one he has until he leaves it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.elt !== byId("live") || event.detail.target !== list() || !isInUse()) return;
    event.detail.shouldSwap = false;
    move();
  });

  const move = () => {
    stale = true;
    if (!timer) timer = setTimeout(follow, GATHER_MS);
  };

  document.addEventListener("line-open", () => { if (stale) move(); });
  document.addEventListener("line-gap", move);
  document.addEventListener("line-moved", ({ detail }) => {
    if (detail["alert-level-changed"] || Object.values(detail).flat().some((item) => byId("alert-" + item))) move();
  });

  // A list without a line: who comes back to it sees it as it is now, but for who chooses or fills in.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !list() || "live" in list().dataset) return;
    if (!open() && !document.querySelector("#chosen :checked")) htmx.trigger(list(), "alerts-changed");
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
