// Runs in an isolated world of the page: the page's own scripts are off. Only numbers come back.
(slotCount) => {
  const slots = [...Array(slotCount).keys()].map((n) => document.getElementById("s" + n));
  const clips = slots.map((slot) => slot.firstElementChild);
  const flows = clips.map((clip) => clip.firstElementChild);
  let units = [];

  // What is wider than its column: formulas shrink, or fall back to their source; tables take fixed columns.
  const fit = () => {
    for (const table of document.getElementsByTagName("table")) {
      if (table.getBoundingClientRect().width > table.parentElement.clientWidth + 0.5) table.classList.add("tight");
    }
    for (const math of [...document.getElementsByTagName("math")]) {
      const room = (math.closest("p,td,th,pre,h1,h2,h3,h4,h5,h6") ?? math.parentElement).clientWidth;
      const ratio = room / Math.max(math.scrollWidth, math.getBoundingClientRect().width);
      if (ratio >= 1) continue;
      if (ratio >= 0.6) math.style.fontSize = 0.98 * ratio + "em";
      else {
        const source = document.createElement("code");
        source.textContent = math.getAttribute("alttext");
        math.replaceWith(source);
      }
    }
  };

  return {
    // Fills the slots with the units' HTML, laid out in one tall column each. Returns the units' heights.
    load(parts, grey) {
      document.body.classList.toggle("grey", grey);
      for (const slot of slots) slot.style.visibility = "hidden"; // no frame is worth drawing before `show`
      flows.forEach((flow, n) => {
        flow.className = "flow measure";
        flow.style.transform = "";
        flow.innerHTML = parts[n].join("");
      });
      units = flows.flatMap((flow) => [...flow.children]);
      fit();
      return units.map((unit) => unit.getBoundingClientRect().height);
    },

    pending() {
      return [...document.images].filter((image) => !image.complete).length;
    },

    // Lays units[bounds[n] .. bounds[n + 1]] out in slot n, a new column at each unit of `starts`.
    // Returns for each turn its fragments: [left, top, right, bottom, ...] from the corner of the first column.
    arrange(bounds, starts) {
      const opens = new Set(starts);
      for (let n = flows.length - 1; n >= 0; n--) {
        for (let i = bounds[n + 1] - 1; i >= bounds[n]; i--) {
          const next = i + 1 < bounds[n + 1] ? units[i + 1] : null;
          if (units[i].parentNode !== flows[n]) flows[n].insertBefore(units[i], next);
        }
      }
      units.forEach((unit, i) => unit.classList.toggle("start", opens.has(i) && !bounds.includes(i)));
      for (const flow of flows) {
        flow.className = "flow";
        flow.style.transform = "";
      }
      return units.map((unit) => {
        const flow = unit.parentNode.getBoundingClientRect();
        return [...unit.children].map((turn) =>
          [...turn.getClientRects()].flatMap((r) => [r.left - flow.left, r.top - flow.top, r.right - flow.left, r.bottom - flow.top]));
      });
    },

    // Returns for each turn of each unit the rectangle of its head's first line: [left, top, right, bottom], as in `arrange`.
    heads() {
      return units.map((unit) => {
        const flow = unit.parentNode.getBoundingClientRect();
        return [...unit.children].map((turn) => {
          const r = turn.querySelector(".h").getClientRects()[0];
          return [r.left - flow.left, r.top - flow.top, r.right - flow.left, r.bottom - flow.top];
        });
      });
    },

    // Brings `width` pixels from `left` on into view in each slot; an empty slot is given as null.
    show(views) {
      views.forEach((view, n) => {
        slots[n].style.visibility = view ? "visible" : "hidden";
        if (!view) return;
        flows[n].style.transform = `translateX(${-view[0]}px)`;
        clips[n].style.width = view[1] + "px";
      });
    },
  };
}
