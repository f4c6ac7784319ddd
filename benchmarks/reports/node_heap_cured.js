// A bundler whose modules live for a while: V8 lets its heap grow before it collects what is left of them.
let kept = [];
let total = 0;
for (let round = 0; round < 40; round++) {
  for (let i = 0; i < 250000; i++) kept.push({ round, i, text: "line " + i });
  total += kept.length;
  if (round % 4 === 3) kept = [];
}
console.log(total);
