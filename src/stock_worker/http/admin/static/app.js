// What makes the page quick and live. Without it everything still works, as links and forms.
// No part of a page is made here but figures of the preview: the server renders, htmx swaps.
(() => {
  "use strict"; // here, since it is sent behind htmx
  const byId = (id) => document.getElementById(id);

  // On a phone the places are a strip that scrolls: where one is has to be seen.
  const current = document.querySelector(".places [aria-current]");
  if (current) current.scrollIntoView({ block: "nearest", inline: "center" });

  // ---------------------------------------------------------------- dialogs

  let opener = null; // by id: its row may be another element by the time the dialog closes

  // A link with data-opens opens in the dialog of that name. A table has a hundred of them, which htmx would prepare
  // each for itself before anything can be clicked.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-opens]");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const target = `#${link.dataset.opens}-body`;
    htmx.ajax("GET", link.getAttribute("href"), { source: link, target }).catch(() => {}); // its events tell of that
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.dataset.opens) opener = event.target.id;
    if (event.detail.target.id === "results") event.detail.target.setAttribute("aria-busy", "true");
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const dialog = event.detail.target.closest("dialog");
    if (!dialog) return;
    if (dialog.open && dialog.contains(document.activeElement)) return; // who types there goes on
    if (!dialog.open) dialog.showModal();
    const first = dialog.querySelector("[autofocus]") || dialog.querySelector("#quantity") || dialog.querySelector("h2");
    if (first) first.focus();
  });

  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-closes]")) {
        event.preventDefault();
        dialog.close();
      }
    });
    dialog.addEventListener("close", () => {
      dialog.firstElementChild.replaceChildren();
      const back = opener && byId(opener);
      if (back) back.focus();
    });
  }

  document.addEventListener("adjusted", () => {
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  });

  // ---------------------------------------------------------------- adjusting

  const COMMANDS = "#adjust-form, #bulk-form, #transfer-form"; // each under a key of its own

  const newKey = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    return "page-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  const written = (value, group) =>
    (value < 0 ? "\u2212" : "") + String(Math.abs(value)).replace(/\B(?=(\d{3})+$)/g, group);

  // The counters after what the form says, from those that the page has of this moment.
  const after = (form, now, figures) => {
    const kind = form.querySelector("[name=kind]:checked");
    const text = form.elements.quantity.value;
    if (!kind || !/^\d{1,12}$/.test(text)) return now;
    const units = Number(text);
    const effect = kind.dataset.effect;
    let { on_hand, reserved } = now;
    if (effect === "up") on_hand += units;
    if (effect === "down") on_hand -= units;
    if (effect === "hold") reserved += units;
    if (effect === "release") reserved -= units;
    if (effect === "to") {
      const place = form.elements.location && form.elements.location.value;
      const there = place && figures.querySelector(`[data-location="${CSS.escape(place)}"]`);
      on_hand = place ? on_hand - Number(there ? there.value : 0) + units : units;
    }
    return { on_hand, reserved, available: on_hand - reserved };
  };

  const refigure = () => {
    const form = byId("adjust-form");
    if (!form) return;
    const figures = byId("figures");
    const on_hand = Number(figures.dataset.onHand);
    const reserved = Number(figures.dataset.reserved);
    const now = { on_hand, reserved, available: on_hand - reserved };
    const then = after(form, now, figures);
    for (const output of figures.querySelectorAll("output")) {
      const [from, to] = [now[output.dataset.shows], then[output.dataset.shows]].map((v) => written(v, form.dataset.group));
      output.value = from === to ? from : `${from} \u2192 ${to}`;
    }
    // A count is of what is shown. Once it is on its way it is not changed any more: sent again, it is the same.
    if (form.dataset.sent !== form.elements.key.value) form.elements.version.value = figures.dataset.version;
  };

  document.addEventListener("htmx:load", (event) => {
    if (event.target.closest("#adjust-body, #figures")) refigure();
  });

  document.addEventListener("input", (event) => {
    const form = event.target.closest(COMMANDS);
    if (!form) return;
    form.elements.key.value = newKey();
    refigure();
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target;
    if (form.matches(COMMANDS)) {
      form.dataset.sent = form.elements.key.value;
      form.querySelector(".lost").hidden = true;
    }
  });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      if (event.target.matches("form:has(.lost)")) event.target.querySelector(".lost").hidden = false;
      else if (event.target.dataset.opens || event.target.closest("#filters, #results, .toast")) lost();
    });
  }

  const lost = () => {
    const toast = document.createElement("div");
    toast.className = "toast bad";
    toast.dataset.toast = "";
    toast.textContent = "The server does not answer. Try again.";
    byId("toasts").append(toast);
    for (const busy of document.querySelectorAll("[aria-busy]")) busy.removeAttribute("aria-busy");
  };

  // ---------------------------------------------------------------- toasts

  const TOAST_MS = 12000;
  const toasts = byId("toasts");

  new MutationObserver((changes) => {
    for (const toast of changes.flatMap((change) => [...change.addedNodes])) {
      if (toast.nodeType !== Node.ELEMENT_NODE || toast.dataset.toast !== "") continue;
      const leave = () => {
        if (toast.matches(":hover, :focus-within")) setTimeout(leave, TOAST_MS / 4);
        else toast.remove();
      };
      setTimeout(leave, TOAST_MS);
    }
  }).observe(toasts, { childList: true });

  // ---------------------------------------------------------------- clicks and keys

  document.addEventListener("click", (event) => {
    const dismissed = event.target.closest("[data-dismiss]");
    if (dismissed) dismissed.closest(".toast").remove();
    const offer = event.target.closest("[data-quantity]");
    if (offer) {
      byId("quantity").value = offer.dataset.quantity;
      byId("quantity").dispatchEvent(new Event("input", { bubbles: true }));
      byId("quantity").focus();
    }
  });

  document.addEventListener("error", (event) => {
    if (event.target.matches && event.target.matches(".thumb img")) event.target.remove();
  }, true);

  const ROW_KEYS = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input:not([type=checkbox]), select, textarea")) return;
    if (key === " " && target.matches("a[role=button], a[role=switch]")) {
      event.preventDefault();
      target.click();
    } else if (key === "/" && byId("search") && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      byId("search").select();
      byId("search").focus();
    }
    const row = target.closest("tr[data-item]");
    if (!row) return;
    if (key in ROW_KEYS) {
      const next = ROW_KEYS[key] > 0 ? row.nextElementSibling : row.previousElementSibling;
      const column = [...row.querySelectorAll("a, input")].indexOf(target);
      if (next) {
        event.preventDefault();
        const links = next.querySelectorAll("a, input");
        (links[links.length === row.querySelectorAll("a, input").length ? column : links.length - 1] || links[0]).focus();
      }
    } else if (key === "a" || key === "h") {
      const link = byId((key === "a" ? "adjust-" : "history-") + row.dataset.item);
      if (link) link.click();
    }
  });

  // ---------------------------------------------------------------- the line

  // What the server tells while somebody looks at a page with [data-live], as events of the document: "line-moved" with
  // the items that moved by topic, "line-gap" where it is not known what moved, "line-open" once it is there (again).
  // What is asked for in its turn has the line as its source; "line-note" says beside its state what is to be known.

  const PAUSE_MS = [1000, 2000, 5000, 10000];
  const line = byId("live");
  const followed = document.querySelector("[data-live]");
  let source = null;
  let last = "";
  let tries = 0;
  let timer = 0;
  let ended = false;
  let state = "";
  let note = "";

  const say = (now, words) => {
    line.hidden = false;
    line.dataset.state = now;
    state = words;
    const there = line.querySelector(".words");
    const said = note && now === "on" ? `${state}, ${note}` : state;
    if (there.textContent !== said) there.textContent = said;
  };

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

  document.addEventListener("line-note", (event) => {
    note = event.detail;
    say(line.dataset.state, state);
  });

  const moved = (event) => {
    last = event.lastEventId;
    tell("line-moved", JSON.parse(event.data));
  };

  // Nobody is led away from what he has not asked for: he may be in the middle of a form.
  const over = () => {
    if (ended) return;
    ended = true;
    source.close();
    say("off", "Signed out");
    const toast = byId("session-ended").content.cloneNode(true);
    const link = toast.querySelector("a");
    const here = new URLSearchParams({ next: location.pathname + location.search });
    link.setAttribute("href", `${link.getAttribute("href")}&${here}`);
    toasts.append(toast);
  };

  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.requestConfig.elt !== line || !event.detail.xhr.getResponseHeader("HX-Redirect")) return;
    event.preventDefault();
    over();
  });

  const listen = () => {
    clearTimeout(timer);
    if (source) source.close();
    const query = new URLSearchParams({ site: followed.dataset.site });
    if (last) query.set("last_event_id", last);
    source = new EventSource("/admin/inventory/live?" + query);
    source.addEventListener("open", () => {
      // Without a last event there is nothing to catch up from: what moved between page and line is read now.
      tell(last ? "line-open" : "line-gap");
      tries = 0;
      say("on", "Live");
    });
    source.addEventListener("moved", moved);
    source.addEventListener("behind", (event) => {
      last = event.lastEventId;
      tell("line-gap");
    });
    source.addEventListener("session-ended", over);
    source.addEventListener("error", () => {
      if (ended) return;
      say("off", "Not live: trying again");
      if (source.readyState !== EventSource.CLOSED) return; // the browser comes back by itself, with Last-Event-ID
      timer = setTimeout(listen, PAUSE_MS[Math.min(tries, PAUSE_MS.length - 1)]);
      tries += 1;
    });
  };

  if (line && followed && window.EventSource) {
    say("off", "Connecting");
    listen();
    // A browser has six connections to a server: pages that nobody sees keep none.
    document.addEventListener("visibilitychange", () => {
      if (ended) return;
      if (document.hidden) {
        clearTimeout(timer);
        source.close();
        say("off", "Paused");
      } else {
        listen();
      }
    });
  }

  // ---------------------------------------------------------------- live rows

  const GATHER_MS = 150;
  const MARKED_MS = 1600;
  const AT_ONCE = 100;
  const waiting = new Set();
  let asking = false;

  const shown = () => [...document.querySelectorAll("#results tr[data-item]")].map((row) => row.dataset.item);

  const want = (items) => {
    for (const item of items) waiting.add(item);
    if (!asking && waiting.size) {
      asking = true;
      setTimeout(read, GATHER_MS);
    }
  };

  // A mark that fades would have the row painted sixty times a second, for as long as rows change.
  const mark = (row) => {
    row.classList.add("changed");
    setTimeout(() => row.classList.remove("changed"), MARKED_MS);
  };

  // Reads the rows that moved, a few requests at most at a time, and marks those that are new.
  const read = async () => {
    if (ended) return;
    const items = [...waiting].slice(0, AT_ONCE);
    for (const item of items) waiting.delete(item);
    const query = new URLSearchParams([["site", followed.dataset.site], ...items.map((item) => ["item", item])]);
    const form = byId("adjust-form");
    if (form) query.set("dialog", form.dataset.item);
    const versions = new Map(items.map((item) => [item, (byId("row-" + item) || { dataset: {} }).dataset.version]));
    try {
      await htmx.ajax("GET", "/admin/inventory/rows?" + query, { source: line, target: line, swap: "none" });
      asking = false;
      want([]);
    } catch {
      asking = false;
      for (const item of items) waiting.add(item); // until the line is there again
    } finally {
      for (const [item, version] of versions) {
        const row = byId("row-" + item);
        if (row && version !== undefined && row.dataset.version !== version) mark(row);
      }
    }
  };

  const isSame = (row, now) => {
    const [one, other] = [row, now].map((each) => each.cloneNode(true));
    one.classList.remove("changed");
    other.removeAttribute("hx-swap-oob");
    return one.isEqualNode(other);
  };

  // A row takes the cells that differ, so that a click that began on another one of them is not lost.
  const renew = (row, now) => {
    for (const { name, value } of now.attributes) if (name !== "hx-swap-oob") row.setAttribute(name, value);
    for (const cell of [...row.cells]) {
      const other = now.cells[0]; // the first that is left
      if (cell.isEqualNode(other)) other.remove();
      else {
        cell.replaceWith(other);
        htmx.process(other);
      }
    }
  };

  // What has left the page since is not put into it: htmx would call that an error.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!line || event.detail.target !== line) return;
    const { head, body } = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
    for (const part of [body, ...[...head.querySelectorAll("template")].map((template) => template.content)]) {
      for (const each of part.querySelectorAll("[hx-swap-oob=true]")) {
        const there = byId(each.id);
        const isPressed = there && there.matches("tr:active");
        if (isPressed) renew(there, each);
        if (!there || isPressed || isSame(there, each)) each.remove();
      }
    }
    event.detail.serverResponse = head.innerHTML + body.innerHTML;
  });

  const isOpen = (item) => byId("adjust-form") && byId("adjust-form").dataset.item === item;

  document.addEventListener("line-open", () => want([]));
  document.addEventListener("line-gap", () => want(shown()));
  document.addEventListener("line-moved", ({ detail }) => {
    want(Object.values(detail).flat().filter((item) => byId("row-" + item) || isOpen(item)));
  });
})();
