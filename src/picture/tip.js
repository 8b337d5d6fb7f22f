// Says what a shape is when it is tapped or reached by the keyboard; hovering needs no script.
"use strict";
(() => {
  const tip = document.getElementById("tip");
  const show = (target) => {
    const shape = target.closest && target.closest(".t");
    const title = shape && shape.querySelector("title");
    tip.hidden = !title;
    tip.textContent = title ? title.textContent : "";
  };
  document.addEventListener("click", (event) => show(event.target));
  document.addEventListener("focusin", (event) => show(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.hidden = true;
  });
})();
