// The tag cloud: a click requires a tag, the next leaves it out, the next clears it. Without this each is a link.

export function tagCloud() {
  const cloud = document.querySelector("[data-tags].tags");
  if (!cloud) return;
  const words = { "": "not used", required: "required", "left-out": "left out" };
  const next = { "": "required", required: "left-out", "left-out": "" };
  const note = document.querySelector("[data-hidden]");
  const stateOf = (tag) => (tag.classList.contains("required") ? "required" : tag.classList.contains("left-out") ? "left-out" : "");

  // What the server left out is not here to be shown again: then the links do the work.
  if (note.textContent.trim()) return;

  const apply = () => {
    const tags = [...cloud.querySelectorAll(".tag")];
    const need = tags.filter((t) => stateOf(t) === "required").map((t) => t.dataset.tag);
    const leave = tags.filter((t) => stateOf(t) === "left-out").map((t) => t.dataset.tag);
    let away = 0;
    for (const row of document.querySelectorAll(".template-list > li")) {
      const has = row.dataset.tags.split("|");
      row.hidden = !need.every((w) => has.includes(w)) || leave.some((w) => has.includes(w));
      away += row.hidden;
    }
    const folded = document.querySelector("[data-supporting]");
    if (folded && (need.length || leave.length)) folded.open = true;
    for (const group of document.querySelectorAll("[data-group]")) group.hidden = !group.querySelector("li:not([hidden])");
    note.textContent = away ? `${away} ${away === 1 ? "template" : "templates"} not shown because of the tags.` : "";
  };
  cloud.addEventListener("click", (event) => {
    const tag = event.target.closest(".tag");
    if (!tag || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const state = next[stateOf(tag)];
    tag.classList.remove("required", "left-out");
    if (state) tag.classList.add(state);
    tag.querySelector(".sr").textContent = `, ${words[state]}`;
    apply();
  });
}
