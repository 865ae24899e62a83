// The picker: two halves, names to add at the left, the chosen ones in order at the right.
// Without this each of its buttons sends the form, and the server draws it again.

const ICONS = { up: "up", down: "down", out: "cross" };

function iconFor(name, sample) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${sample.split("#")[0]}#${name}`);
  svg.append(use);
  return svg;
}

/** The rows or options that a search finds, as a fragment; null where it failed. */
async function namesFor(address, words) {
  try {
    const answer = await fetch(`${address}&find=${encodeURIComponent(words)}`);
    if (!answer.ok) return null;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    return holder.content;
  } catch {
    return null;
  }
}

/** A field for one of very many variables: what is typed is searched for, and suggested. */
export function finder(field) {
  if ("ready" in field.dataset) return;
  field.dataset.ready = "";
  let asked = 0;
  field.addEventListener("input", async () => {
    const mine = ++asked;
    const found = await namesFor(field.dataset.findNames, field.value.trim());
    if (found !== null && mine === asked) field.list.replaceChildren(found);
  });
}

export function picker(box) {
  if ("ready" in box.dataset) return;
  box.dataset.ready = "";
  const key = box.dataset.key;
  const order = box.querySelector("[data-order]");
  const names = box.querySelector("[data-names]");
  const find = box.querySelector("[data-find]");
  const sample = box.querySelector("use")?.getAttribute("href") ?? "/static/icons.svg#cross";
  const say = (words) => (document.getElementById("say").textContent = words);
  const rowOf = (name) => [...names.children].find((r) => r.dataset.name === name);
  const visible = () => [...names.querySelectorAll("button.name-row:not([hidden]):not(:disabled)")];

  function item(name) {
    const source = rowOf(name);
    const li = document.createElement("li");
    li.dataset.name = name;
    if (source?.dataset.becomes) li.dataset.becomes = source.dataset.becomes;
    const hidden = Object.assign(document.createElement("input"), { type: "hidden", name: key, value: name });
    const place = Object.assign(document.createElement("span"), { className: "place" });
    const who = Object.assign(document.createElement("code"), { className: "who", textContent: name });
    li.append(hidden, place, who);
    if (source && "cat" in source.dataset) {
      const label = document.createElement("label");
      const tick = Object.assign(document.createElement("input"), { type: "checkbox", name: `cat ${key}`, value: name });
      const more = Object.assign(document.createElement("span"), { className: "sr", textContent: `: ${name}` });
      label.append(tick, " categorical", more);
      li.append(label);
    }
    for (const [act, words] of [["up", `Move ${name} up`], ["down", `Move ${name} down`], ["out", `Take out ${name}`]]) {
      const button = Object.assign(document.createElement("button"), { className: "icon-button", name: "do", value: `${act} ${key} ${name}` });
      button.dataset.do = act;
      button.setAttribute("aria-label", words);
      button.append(iconFor(ICONS[act], sample));
      li.append(button);
    }
    return li;
  }

  /** Numbers, what may still be moved, the sentences on categories, the folded summary. */
  function settle() {
    const items = [...order.children];
    items.forEach((li, i) => {
      li.querySelector(".place").textContent = i + 1;
      li.querySelector("[data-do=up]").disabled = i === 0;
      li.querySelector("[data-do=down]").disabled = i === items.length - 1;
    });
    box.querySelector("[data-count]").textContent = items.length;
    box.querySelector("[data-empty]").hidden = items.length > 0;
    const sentences = items.filter((li) => li.dataset.becomes && li.querySelector("input[type=checkbox]")?.checked).map((li) => li.dataset.becomes);
    const list = box.querySelector("[data-becomes-list]");
    if ([...list.children].map((p) => p.textContent).join() !== sentences.join())
      list.replaceChildren(...sentences.map((s) => Object.assign(document.createElement("p"), { textContent: s })));
    const folded = box.closest("details")?.querySelector("[data-folded]");
    if (folded) folded.textContent = items.map((li) => li.dataset.name + (li.querySelector("input[type=checkbox]")?.checked ? ":cat" : "")).join(", ");
    box.dispatchEvent(new CustomEvent("picked", { bubbles: true }));
  }

  function mark(name, chosen) {
    const row = rowOf(name);
    if (!row || row.tagName !== "BUTTON") return;
    row.disabled = chosen;
    row.classList.toggle("chosen", chosen);
    row.querySelector(".does").textContent = chosen ? "chosen" : "add";
  }

  function act(what, name) {
    const li = [...order.children].find((r) => r.dataset.name === name);
    if (what === "add" && !li) {
      const before = visible();
      const at = before.indexOf(rowOf(name));
      order.append(item(name));
      mark(name, true);
      settle();
      (before[at + 1] ?? before[at - 1] ?? find)?.focus(); // on to the next name, so that Enter adds on
      say(`${name} added, place ${order.children.length}`);
    } else if (what === "out" && li) {
      const near = li.nextElementSibling ?? li.previousElementSibling;
      li.remove();
      mark(name, false);
      settle();
      (near?.querySelector("[data-do=out]") ?? find ?? rowOf(name))?.focus();
      say(`${name} taken out`);
    } else if ((what === "up" && li?.previousElementSibling) || (what === "down" && li?.nextElementSibling)) {
      if (what === "up") li.previousElementSibling.before(li);
      else li.nextElementSibling.after(li);
      settle();
      const button = li.querySelector(`[data-do=${what}]`);
      (button.disabled ? li.querySelector(`[data-do=${what === "up" ? "down" : "up"}]`) : button).focus();
      say(`${name}, place ${[...order.children].indexOf(li) + 1}`);
    }
  }

  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    event.preventDefault();
    act(button.dataset.do, button.closest("[data-name]").dataset.name);
  });

  box.addEventListener("change", (event) => event.target.matches("input[type=checkbox]") && settle());

  /** Of very many variables the page has the first; the others are asked for. */
  const search = box.dataset.search;
  let asked = 0;
  async function fetched(words) {
    const mine = ++asked;
    const found = await namesFor(search, words);
    if (found === null || mine !== asked) return;
    names.querySelectorAll(".name-row").forEach((row) => row.remove());
    names.prepend(found);
    for (const li of order.children) mark(li.dataset.name, true);
    box.querySelector("[data-none]").hidden = names.querySelector(".name-row") !== null;
  }

  function narrow() {
    if (search) return fetched(find.value.trim());
    const words = find.value.trim().toLowerCase();
    let shown = 0;
    for (const row of names.querySelectorAll(".name-row")) {
      row.hidden = !`${row.dataset.name} ${row.title}`.toLowerCase().includes(words);
      shown += !row.hidden;
    }
    box.querySelector("[data-none]").hidden = shown > 0;
  }
  find?.addEventListener("input", (event) => {
    event.stopPropagation();
    narrow();
  });

  box.querySelector(".offer").addEventListener("keydown", (event) => {
    const rows = visible();
    const at = rows.indexOf(document.activeElement);
    if (event.key === "ArrowDown") {
      event.preventDefault();
      rows[Math.min(at + 1, rows.length - 1)]?.focus();
    } else if (event.key === "ArrowUp") {
      event.preventDefault();
      if (at <= 0) find?.focus();
      else rows[at - 1].focus();
    } else if (event.key === "Enter" && event.target === find) {
      event.preventDefault(); // never send the form from the find box
      if (rows.length === 1 || (find.value && rows.length)) {
        act("add", rows[0].dataset.name);
        find.value = "";
        narrow();
        find.focus();
      }
    } else if (event.key === "Escape" && event.target === find && find.value) {
      find.value = "";
      narrow();
    }
  });
}
