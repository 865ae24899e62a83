// Copy buttons, and the tabs over the three commands.

async function toClipboard(text, type = "text/plain") {
  if (type === "text/html" && window.ClipboardItem) {
    const items = { "text/html": new Blob([text], { type }), "text/plain": new Blob([text.replace(/<[^>]+>/g, " ")], { type: "text/plain" }) };
    await navigator.clipboard.write([new ClipboardItem(items)]);
  } else if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
  } else {
    const box = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}

function saysCopied(label) {
  const before = label.dataset.words ?? (label.dataset.words = label.textContent);
  label.textContent = "Copied";
  document.getElementById("say").textContent = "Copied";
  setTimeout(() => (label.textContent = before), 2000);
}

export function copying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) {
      const source = document.getElementById(button.dataset.copy);
      await toClipboard(source.textContent);
      saysCopied(button.querySelector("span"));
      return;
    }
    const link = event.target.closest?.("[data-copy-from]");
    if (!link) return;
    event.preventDefault();
    const menu = link.closest("details");
    try {
      const text = await (await fetch(link.href)).text();
      await toClipboard(text, link.dataset.copyFrom === "html" ? "text/html" : "text/plain");
    } catch {
      location.href = link.href; // no clipboard here: the text itself can be selected
      return;
    }
    menu.open = false;
    saysCopied(menu.querySelector("[data-copied]"));
    menu.querySelector("summary").focus();
  });
}

export function tabs(part) {
  for (const box of part.querySelectorAll("[data-tabs]:not([data-ready])")) {
    box.dataset.ready = "";
    const all = [...box.querySelectorAll("[role=tab]")];
    const copy = box.querySelector("[data-copy-tab]");
    const choose = (chosen, focus) => {
      for (const tab of all) {
        const on = tab === chosen;
        tab.setAttribute("aria-selected", on);
        tab.tabIndex = on ? 0 : -1;
        document.getElementById(tab.getAttribute("aria-controls")).hidden = !on;
      }
      copy.dataset.copy = chosen.getAttribute("aria-controls");
      sessionStorage.setItem("statgrove-tab", chosen.textContent);
      if (focus) chosen.focus();
    };
    const kept = sessionStorage.getItem("statgrove-tab");
    choose(all.find((t) => t.textContent === kept) ?? all[0]);
    box.addEventListener("click", (event) => event.target.matches("[role=tab]") && choose(event.target));
    box.addEventListener("keydown", (event) => {
      const at = all.indexOf(event.target);
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (at >= 0 && step) choose(all[(at + step + all.length) % all.length], true);
    });
  }
}
