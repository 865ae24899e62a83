// Everything here is an addition: each page works without it.
import { picker } from "./picker.js";
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
let timer;
function live(event) {
  const form = event.target.closest?.("form[data-questions]");
  if (!form || event.target.matches("[data-find]")) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (!form.isConnected) return;
    htmx.ajax("POST", `${form.getAttribute("action")}/draft`, { source: form, swap: "none", values: {} });
  }, 250);
}
document.addEventListener("change", live);
document.addEventListener("input", (event) => event.target.matches?.("input[type=text]") && live(event));
document.addEventListener("picked", live);

// After Next: the faults, else the first open question, else the top of the page.
let asked = null;
document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.detail.elt.closest?.("form[data-questions], .answered");
  asked = form && event.detail.requestConfig.verb === "post" && !event.detail.requestConfig.path.endsWith("/draft") ? form : null;
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

document.addEventListener("htmx:oobAfterSwap", (event) => ready(event.detail.target.parentElement ?? document));

ready(document);
copying();
tagCloud();
focusFaults();
