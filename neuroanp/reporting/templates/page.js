// The one script of a page: it sorts tables, says that a table goes on, and saves pictures. It asks nobody for anything.
"use strict";
(() => {
  const last = (text) => text === "" || text === "\u2013" || text === "not stated";
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    return cell.dataset.v !== undefined ? Number(cell.dataset.v) : last(text) ? null : text;
  };
  // what has no value is last in either direction, numbers come before words, and what is equal stays as it was
  const order = (column, sign) => (a, b) => {
    const [x, y] = [key(a, column), key(b, column)];
    if (x === null || y === null) return (x === null) - (y === null);
    if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
    return sign * (typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true }));
  };
  const sort = (table, column) => {
    const heads = [...table.tHead.rows[0].cells];
    const now = heads[column].getAttribute("aria-sort");
    const next = now === null ? "ascending" : now === "ascending" ? "descending" : null;
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    if (next) heads[column].setAttribute("aria-sort", next);
    for (const body of table.tBodies) {
      const rows = [...body.rows].sort((a, b) => a.dataset.i - b.dataset.i);
      if (next) rows.sort(order(column, next === "ascending" ? 1 : -1));
      body.append(...rows);
    }
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const body of table.tBodies) [...body.rows].forEach((row, i) => { row.dataset.i = i; });
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort by this column";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, column));
    });
  }
  const boxes = [...document.querySelectorAll(".scroll")];
  const look = (box) => {
    const beyond = box.scrollWidth - box.clientWidth > 1;
    box.classList.toggle("beyond", beyond);
    box.classList.toggle("ended", box.scrollLeft + box.clientWidth >= box.scrollWidth - 1);
    if (beyond) box.tabIndex = 0; else box.removeAttribute("tabindex");
    const hint = box.previousElementSibling;
    if (hint && hint.classList.contains("hint")) hint.hidden = !beyond;
  };
  const all = () => boxes.forEach(look);
  boxes.forEach((box) => box.addEventListener("scroll", () => look(box), { passive: true }));
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", all));
  addEventListener("resize", all);
  addEventListener("load", all);
  all();
  for (const link of document.querySelectorAll("a.svg")) {
    link.href = link.closest("figure").querySelectorAll("img")[Number(link.dataset.of || 0)].getAttribute("src");
    link.hidden = false;
  }
})();
