// What htmx does not say of a report that is under way: that it is, and that no answer came.
"use strict";
(() => {
  document.addEventListener("htmx:beforeRequest", (event) => {
    const report = event.target.closest(".report");
    if (!report) return;
    report.setAttribute("aria-busy", "true");
    report.querySelector(".lost").hidden = true;
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const report = event.target.closest(".report");
    if (report) report.removeAttribute("aria-busy");
  });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      const report = event.target.closest(".report");
      if (report) report.querySelector(".lost").hidden = false;
    });
  }
})();
