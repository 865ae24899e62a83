// Mathematics: LaTeX source drawn by KaTeX, which builds elements and so needs no inline styles in the page.

export function drawMath(part) {
  const draw = () => {
    for (const box of part.querySelectorAll("[data-tex]:not([data-drawn])")) {
      const source = box.querySelector("pre");
      if (!source) continue;
      const target = document.createElement("div");
      try {
        katex.render(source.textContent, target, { displayMode: true, throwOnError: true, trust: false, strict: "ignore", maxSize: 50, maxExpand: 2000 });
      } catch {
        continue; // the source stays in view
      }
      box.dataset.drawn = "";
      source.hidden = true;
      box.append(target);
    }
  };
  if (window.katex) draw();
  else addEventListener("load", draw, { once: true });
}
