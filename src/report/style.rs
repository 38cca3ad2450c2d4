/// The page's style sheet.
pub(super) const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; background: #f5f6f8; margin: 0; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 0 0 8px; }
section { background: #fff; border: 1px solid #e1e5ea; border-radius: 8px; padding: 20px 24px;
  margin-top: 20px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin-top: 8px; }
th, td { padding: 6px 8px; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #52606d; font-weight: 600; }
td { border-bottom: 1px solid #e1e5ea; }
th:first-child, td:first-child { text-align: left; }
th.why, td.why { text-align: left; }
td.why { white-space: normal; overflow-wrap: anywhere; }
p { margin: 8px 0; } .note { color: #52606d; font-size: 14px; }
.verdict { font-weight: 600; } .running { border-left: 4px solid #b45309; }
ul { margin: 8px 0; padding-left: 20px; }
svg { width: 100%; height: auto; display: block; }
pre { font-size: 13px; overflow: auto; background: #f5f6f8; padding: 12px; border-radius: 6px; }
";
