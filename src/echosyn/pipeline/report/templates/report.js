(() => {
  const button = document.getElementById("play");
  const videos = [...document.querySelectorAll("video")];
  const show = (playing) => {
    videos.forEach((video) => (playing ? video.play().catch(() => {}) : video.pause()));
    button.textContent = playing ? "Pause all" : "Play all";
  };
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  button.hidden = false;
  button.addEventListener("click", () => show((playing = !playing)));
  show(playing);
})();
