// Scales and ticks: round numbers, round times, and how both are written.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY = 86400000; // milliseconds

export const minus = (text) => text.replace("-", "−");

/** A value as it is read out: five significant digits. */
export function said(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-5)) return minus(value.toExponential(3).replace("e+", "e"));
  return minus(value.toLocaleString("en-GB", { maximumSignificantDigits: size >= 1e5 ? Math.ceil(Math.log10(size)) : 5 }));
}

/** Two values with equal decimals: "131.00 to 135.87". */
export function span(low, high) {
  const decimals = Math.max(...[low, high].map((v) => (said(v).split(".")[1] ?? "").length));
  if (/e/.test(said(low) + said(high))) return `${said(low)} to ${said(high)}`;
  const write = (v) => minus(v.toLocaleString("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  return `${write(low)} to ${write(high)}`;
}

/** About `wanted` round numbers from low to high, written alike. */
export function numberTicks(low, high, wanted, least = 0) {
  const span = high - low;
  if (!(span > 0)) return [{ at: low, text: said(low) }];
  const unit = Math.max(10 ** Math.floor(Math.log10(span / wanted)), least);
  const off = (f) => Math.abs(Math.log(span / (unit * f) / wanted));
  const sizes = least && unit === 1 ? [1, 2, 5, 10, 20] : [1, 2, 2.5, 5, 10, 20];
  const step = unit * sizes.reduce((best, f) => (off(f) < off(best) ? f : best));
  const places = [];
  for (let k = Math.ceil(low / step - 1e-9); k <= Math.floor(high / step + 1e-9); k++) places.push(k * step);
  const largest = Math.max(...places.map(Math.abs), 0);
  const power = largest ? Math.floor(Math.log10(largest)) : 0;
  const scale = power >= 7 || power <= -5 ? 10 ** power : 1;
  let decimals = 0;
  while (decimals < 8 && Math.abs((step / scale) * 10 ** decimals - Math.round((step / scale) * 10 ** decimals)) > 1e-6) decimals++;
  const write = (v) => {
    const plain = minus((v / scale + 0).toLocaleString("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
    return scale === 1 || v === 0 ? plain.replace(/^−(0[.0]*)$/, "$1") : `${plain}e${minus(String(power))}`;
  };
  return places.map((at) => ({ at, text: write(at) }));
}

/** Whole numbers that are names, such as years and lags: no commas, no fractions. */
export function wholeTicks(low, high, wanted) {
  return numberTicks(low, high, wanted, 1).map(({ at }) => ({ at, text: minus(String(Math.round(at))) }));
}

const STEPS = [
  ["minute", 1], ["minute", 5], ["minute", 15], ["minute", 30], ["hour", 1], ["hour", 3], ["hour", 6], ["hour", 12],
  ["day", 1], ["day", 2], ["day", 7], ["day", 14], ["month", 1], ["month", 3], ["month", 6], ["year", 1], ["year", 2],
  ["year", 5], ["year", 10], ["year", 20], ["year", 50], ["year", 100], ["year", 200], ["year", 500],
];
const LENGTH = { minute: 1 / 1440, hour: 1 / 24, day: 1, month: 30.44, year: 365.25 };

/** Round times from low to high, both in days since 1970: years, months, days, hours or minutes. */
export function timeTicks(low, high, wanted) {
  const [unit, n] = STEPS.find(([u, k]) => (high - low) / (LENGTH[u] * k) <= wanted) ?? STEPS.at(-1);
  const found = [];
  const put = (days, date) => days >= low - 1e-9 && days <= high + 1e-9 && found.push({ at: days, text: written(date, unit) });
  if (unit === "year" || unit === "month") {
    const months = unit === "year" ? 12 * n : n;
    const first = new Date(low * DAY);
    let place = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months;
    for (; found.length < 500; place += months) {
      const date = new Date(0);
      date.setUTCFullYear(Math.floor(place / 12), place % 12, 1);
      if (date.getTime() / DAY > high + 1e-9) break;
      put(date.getTime() / DAY, date);
    }
  } else {
    const step = LENGTH[unit] * n;
    const origin = unit === "day" && n % 7 === 0 ? -3 : 0; // weeks begin on Mondays; 1 January 1970 was a Thursday
    for (let k = Math.ceil((low - origin) / step - 1e-9); origin + k * step <= high + 1e-9 && found.length < 500; k++) {
      const days = origin + k * step;
      put(days, new Date(Math.round(days * DAY)));
    }
  }
  return found;
}

function written(date, unit) {
  const year = date.getUTCFullYear();
  if (unit === "year") return String(year);
  const month = MONTHS[date.getUTCMonth()];
  if (unit === "month") return `${month} ${year}`;
  const day = `${date.getUTCDate()} ${month}`;
  const clock = `${String(date.getUTCHours()).padStart(2, "0")}:${String(date.getUTCMinutes()).padStart(2, "0")}`;
  return unit === "day" || clock === "00:00" ? day : clock;
}

/** The range of values with a little room; of one value, room around it. */
export function padded(low, high, share = 0.06) {
  if (!(low <= high)) return [0, 1];
  if (low === high) {
    const room = 0.1 * Math.abs(low) || 1;
    return [low - room, high + room];
  }
  return [low - share * (high - low), high + share * (high - low)];
}
