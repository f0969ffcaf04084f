// The HTML report reads without this. It filters the rules, and opens what a link or a cell points to where
// the browser does not do so by itself.
"use strict";

(() => {
  const form = document.querySelector(".filters");
  const rules = [...document.querySelectorAll("tr.rule")];
  const chapters = [...document.querySelectorAll("tr.chapter")];
  const texts = new Map(
    rules.map((rule) => [rule, `${rule.textContent} ${rule.nextElementSibling.textContent}`.toLowerCase()]),
  );
  const count = form.querySelector("output");

  const shown = (rule, wanted) =>
    (!wanted.level || rule.dataset.level === wanted.level) &&
    (!wanted.verdict || rule.dataset.verdicts.split(",").includes(wanted.verdict)) &&
    (!wanted.profile || rule.dataset.profiles.split(",").includes(wanted.profile)) &&
    wanted.words.every((word) => texts.get(rule).includes(word));

  const filter = () => {
    const wanted = {
      level: form.elements.level.value,
      verdict: form.elements.verdict.value,
      profile: form.elements.profile.value,
      words: form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean),
    };
    let number = 0;
    for (const rule of rules) {
      const hide = !shown(rule, wanted);
      rule.hidden = hide;
      rule.nextElementSibling.hidden = hide;
      number += hide ? 0 : 1;
    }
    for (const chapter of chapters) {
      let row = chapter.nextElementSibling;
      let some = false;
      while (row && !row.classList.contains("chapter")) {
        some = some || !row.hidden;
        row = row.nextElementSibling;
      }
      chapter.hidden = !some;
    }
    count.textContent = `${number} of ${rules.length} rules`;
  };

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const row = target.closest("tr");
    if (row && row.hidden) {
      form.reset();
      filter();
    }
    for (let node = target; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
    const box = target.closest(".found") || target;
    box.scrollIntoView({ block: "start" });
    const summary = box.querySelector("summary");
    if (summary) summary.focus({ preventScroll: true });
  };

  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("change", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", reveal);
  // The same cell pressed twice changes no hash.
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("a.mark");
    if (cell && cell.hash === location.hash) {
      event.preventDefault();
      reveal();
    }
  });
  filter();
  reveal();
})();
