// The factors of one layer from its channels' variances, as asr_core.repairs.methods computes them; a test compares.
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const median = (values) => [...values].sort((a, b) => a - b)[(values.length - 1) >> 1]; // lower middle, as torch.median

function repairFactors(dense, pruned, {eps, floor}) {
    const root = (d, p) => Math.sqrt(Math.max(d, floor)) / Math.sqrt(p + eps);
    const alive = pruned.map((v) => v > floor), prior = median(pruned);
    const lw = mean(pruned) > floor ? root(mean(dense), mean(pruned)) : 1;
    const raw = dense.map((d, i) => alive[i] ? root(d, pruned[i]) : 1);
    const shrinkage = pruned.map((v, i) => alive[i] && prior > floor ? 1 / (1 + prior / v) : 0);
    const asr = raw.map((g, i) => (1 - shrinkage[i]) + shrinkage[i] * g);
    return {lw, raw, shrinkage, asr, prior};
}
