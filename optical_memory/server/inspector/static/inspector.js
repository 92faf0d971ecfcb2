// What the pages need beside HTML: loading of turns, live updates, the slider of plans, the switch, erasing. Content is set only from the
// server's own escaped HTML, or as text.
"use strict";

const trusted = globalThis.trustedTypes?.createPolicy("optical-memory", { createHTML: (html) => html });
const setHtml = (element, html) => { element.innerHTML = trusted ? trusted.createHTML(html) : html; };
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const say = (text) => { one("#live").textContent = text; };

async function htmlOf(address) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.text();
}

// -- money: what tokens cost, at a price that stays in this browser --------------------------------------------------------------------

const price = one("#price");
price.value = localStorage.getItem("price") ?? "";
function money() {
  const perToken = Number(price.value) / 1e6;
  for (const element of all("[data-tokens]")) {
    const dollars = Number(element.dataset.tokens) * perToken;
    element.title = perToken > 0 ? `${dollars < 0 ? "−" : ""}$${Math.abs(dollars).toFixed(4)}` : "";
    element.querySelector(":scope > small")?.remove();
    if (perToken > 0) {
      const shown = document.createElement("small");
      shown.textContent = ` ${element.title}`;
      element.append(shown);
    }
  }
}
price.addEventListener("input", () => { localStorage.setItem("price", price.value); money(); });

// -- turns: rows of one height, loaded when they come near --------------------------------------------------------------------------------

const turns = one("#turns");
const near = turns && new IntersectionObserver((seen) => {
  for (const entry of seen) if (entry.isIntersecting) load(entry.target);
}, { rootMargin: "1200px" });

async function load(block) {
  if (block.dataset.state) return;
  block.dataset.state = "loading";
  try {
    setHtml(block, await htmlOf(`/inspect/session/turns?${turns.dataset.query}&block=${block.dataset.number}`));
    block.dataset.state = "loaded";
    block.style.height = "";
  } catch (error) {
    delete block.dataset.state;
    say(`Turns could not be loaded: ${error.message}`);
  }
}

function reserve(block) {
  if (!block.dataset.state) block.style.height = `calc(${block.dataset.rows} * var(--row))`;
  near.observe(block);
}

function grow(length) {
  const size = Number(turns.dataset.block), known = Number(turns.dataset.length);
  if (length === known) return;
  turns.dataset.length = length;
  one("#goto").max = length;
  if (length < known) return void location.reload();
  for (let number = Math.floor(known / size); number * size < length; number++) {
    let block = one(`.block[data-number="${number}"]`, turns);
    if (!block) {
      block = document.createElement("div");
      block.className = "block";
      block.dataset.number = number;
      turns.append(block);
    }
    block.dataset.rows = Math.min(size, length - number * size);
    const was = block.dataset.state;
    delete block.dataset.state;
    was ? load(block) : reserve(block);
  }
}

async function goTo(number) {
  const block = one(`.block[data-number="${Math.floor((number - 1) / Number(turns.dataset.block))}"]`, turns);
  if (!block) return;
  await load(block);
  const row = one(`#turn-${number}`);
  if (!row) return;
  for (const other of all(".turn.at")) other.classList.remove("at");
  row.classList.add("at");
  row.scrollIntoView({ block: "center" });
  one("button", row)?.focus({ preventScroll: true });
}

async function open(button) {
  const row = button.closest(".turn"), isOpen = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!isOpen));
  row.classList.toggle("open", !isOpen);
  if (isOpen || one(".whole", row)) return void one(".whole", row)?.toggleAttribute("hidden", isOpen);
  const holder = document.createElement("div");
  setHtml(holder, await htmlOf(`/inspect/session/turn?${turns.dataset.query}&number=${button.dataset.turn}`));
  row.append(holder);
}

if (turns) {
  all(".block", turns).forEach(reserve);
  turns.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-turn]");
    if (button) open(button);
  });
  one("#go").addEventListener("submit", (event) => {
    event.preventDefault();
    goTo(Number(one("#goto").value));
  });
}

// -- live updates -------------------------------------------------------------------------------------------------------------------------

let showing = null;
function watch(part) {
  const events = new EventSource(`/inspect/events${part.dataset.live}`);
  events.addEventListener("state", async (event) => {
    const state = JSON.parse(event.data);
    if (state.error) return say(state.error);
    say("Live");
    const before = showing;
    showing = state;
    if (turns && state.length !== undefined) grow(state.length);
    if (before && JSON.stringify(before) !== event.data) await refresh(part);
  });
  events.addEventListener("error", () => say("The server does not answer; trying again"));
}

async function refresh(part) {
  if (part.contains(document.activeElement) && document.activeElement.matches("input")) return;
  if (part.dataset.query) {
    setHtml(part, await htmlOf(`/inspect/session/live?${part.dataset.query}`));
  } else {
    const fresh = new DOMParser().parseFromString(trusted ? trusted.createHTML(await htmlOf(location.href)) : await htmlOf(location.href), "text/html");
    part.replaceChildren(...one(`#${part.id}`, fresh).childNodes);
  }
  money();
}

// -- plans, pages, switch, erase --------------------------------------------------------------------------------------------------------------

document.addEventListener("input", async (event) => {
  if (event.target.id !== "epoch") return;
  const form = event.target.closest(".epochs"), epochs = form.dataset.epochs ?? event.target.dataset.epochs;
  const epoch = epochs.trim().split(/\s+/)[Number(event.target.value)];
  const part = one("#live-part"), asked = `${form.dataset.query}&epoch=${epoch}`;
  const html = await htmlOf(`/inspect/session/live?${asked}`);
  if (one("#epoch") !== event.target) return; // another value was chosen meanwhile
  const isLast = Number(event.target.value) === Number(event.target.max);
  setHtml(part, html);
  part.dataset.query = isLast ? form.dataset.query : asked;
  one("#epoch").focus();
  money();
});

document.addEventListener("pointerover", (event) => mark(event.target));
document.addEventListener("focusin", (event) => mark(event.target));
function mark(target) {
  const of = target.closest?.("[data-of]")?.dataset.of;
  if (!one(".beside")) return;
  for (const element of all(".beside [data-of]")) element.classList.toggle("on", element.dataset.of === of);
}
document.addEventListener("click", (event) => {
  const of = event.target.closest?.("rect[data-of]")?.dataset.of;
  if (of) one(`.source article[data-of="${of}"]`)?.scrollIntoView({ block: "nearest" });
});

async function post(address, body) {
  const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const told = answer.headers.get("content-type")?.includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Error(told.error ?? `${answer.status}`);
  return told;
}

function numbersOf(text) {
  const found = [];
  for (const part of text.split(",").map((each) => each.trim()).filter(Boolean)) {
    const range = /^#?(\d+)(?:\s*[-–]\s*#?(\d+))?$/.exec(part);
    if (!range || Number(range[2] ?? range[1]) - Number(range[1]) > 10000) throw new Error(`“${part}” names no turns: write 12, 15-18`);
    for (let number = Number(range[1]); number <= Number(range[2] ?? range[1]); number++) found.push(number);
  }
  if (!found.length) throw new Error("name the turns: 12, 15-18");
  return found;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.matches(".epochs")) return event.preventDefault();
  if (form.matches(".switch")) {
    event.preventDefault();
    await post("/api/switch", JSON.parse(form.dataset.switch));
    await refresh(form.closest("[data-live]"));
  }
  if (form.id === "erase") {
    event.preventDefault();
    const proof = one("#proof");
    try {
      const numbers = event.submitter?.name === "all" ? null : numbersOf(form.numbers.value);
      const what = numbers ? `turns ${form.numbers.value}` : "the whole session";
      if (!confirm(`Erase ${what} of “${form.dataset.shown}”, with every page that shows them? This cannot be undone.`)) return;
      const done = await post("/inspect/erase", { name: form.dataset.name, tenant: form.dataset.tenant, numbers });
      const rows = done.proof.map((trace) => `${trace.clean === true ? "clean" : trace.clean === false ? "there" : "unknown"}: ${trace.place}: ${trace.details}`);
      proof.textContent = `${done.turns} turns and ${done.pages} pages erased. ${rows.join(". ")}.`;
      if (numbers) for (const block of all(".block[data-state]", turns)) { delete block.dataset.state; load(block); }
    } catch (error) {
      proof.textContent = `Not erased: ${error.message}`;
    }
  }
});

money();
for (const part of all("[data-live]")) watch(part);
