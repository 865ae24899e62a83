// Everything here is an addition: each page works without it.
import { finder, picker } from "./picker.js";
import { drawMath } from "./math.js";
import { copying, tabs } from "./copy.js";
import { tagCloud } from "./tags.js";

const root = document.documentElement;
root.classList.add("js");

/** What a part of the page needs once it is there: after loading, and after each exchange. */
function ready(part) {
  part.querySelectorAll(".js-only[hidden]").forEach((e) => e.removeAttribute("hidden"));
  part.querySelectorAll(".no-js").forEach((e) => (e.hidden = true));
  drawMath(part);
  tabs(part);
  part.querySelectorAll("[data-picker]").forEach(picker);
  part.querySelectorAll("[data-find-names]").forEach(finder);
  if (part.querySelector("[data-plot]")) import("./figure/figure.js").then((module) => module.figures(part));
  say(part);
}

/** Read out what changed: a state or a tenth per cent, never the seconds. */
let said = "";
function say(part) {
  const source = part.matches?.("[data-say]") ? part : part.querySelector("[data-say]");
  const words = source?.dataset.say;
  if (words && words !== said) {
    said = words;
    document.getElementById("say").textContent = words;
  }
}

function focusFaults() {
  const faults = document.querySelector("[data-faults]");
  if (faults) faults.focus();
  return Boolean(faults);
}

// A link in the error summary moves to its field, not only into view.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".faults a.says");
  if (!link) return;
  const target = document.getElementById(link.getAttribute("href").slice(1));
  const field = target?.matches("input, select, textarea") ? target : target?.querySelector("[data-focus]:not([disabled]), input:not([type=hidden]), select");
  if (!field) return;
  event.preventDefault();
  target.scrollIntoView({ block: "center" });
  field.focus();
});

// One menu open at a time; Escape closes it and gives the focus back.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches?.("select[data-submit]")) event.target.form.requestSubmit();
});

// The answers so far as text, the equation and the missing values follow the fields while they are filled in.
let timer, asking;
function live(event) {
  const form = event.target.closest?.("form[data-questions]");
  if (!form || event.target.matches("[data-find]")) return;
  clearTimeout(timer);
  timer = setTimeout(() => follow(form), 250);
}
async function follow(form) {
  asking?.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(`${form.getAttribute("action")}/draft`, { method: "POST", body: new FormData(form), signal: asking.signal });
    if (!answer.ok || !form.isConnected) return;
    const sent = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["side", "same"]) {
      const now = document.getElementById(id);
      const next = sent.getElementById(id);
      if (!now || !next || now.contains(document.activeElement)) continue; // never take the focus away
      now.replaceWith(document.adoptNode(next));
      ready(next);
    }
  } catch {
    // Next sends everything anyway.
  }
}
document.addEventListener("change", live);
document.addEventListener("input", (event) => event.target.matches?.("input[type=text]") && live(event));
document.addEventListener("picked", live);

// After Next: the faults, else the first open question, else the top of the page.
let asked = null;
document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt.closest?.("form[data-questions], .answered");
  if (event.detail.requestConfig.verb === "post") asked = form;
});
document.addEventListener("htmx:afterSettle", (event) => {
  const part = event.detail.elt;
  ready(part.parentElement ?? part);
  if (!asked) return;
  asked = null;
  if (focusFaults()) return;
  const first = document.querySelector("form[data-questions] .question [data-focus]:not([disabled])");
  const question = first?.closest(".question");
  if (question) {
    first.focus({ preventScroll: true });
    const box = question.getBoundingClientRect();
    if (box.top < 0 || box.top > innerHeight * 0.6) question.scrollIntoView({ block: "start" });
  } else {
    scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
  }
});

ready(document);
copying();
tagCloud();
focusFaults();
