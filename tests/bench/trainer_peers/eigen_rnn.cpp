// The language model as the programme of the parallel-RNN report has it: dense gradients, a product per word, the
// tutorial's double loop for the truncation. Columns here are the rows of the NumPy arrays.
#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstdint>

using Eigen::Map;
using Eigen::MatrixXd;
using Eigen::VectorXd;

extern "C" double train(const int32_t *tokens, const int64_t *offsets, const int64_t *order, int64_t n_order,
                        int64_t batch_size, int64_t bptt, double rate, int64_t k, int64_t h, double *u_data,
                        double *w_data, double *v_data) {
    Map<MatrixXd> U(u_data, h, k), W(w_data, h, h), V(v_data, k, h);
    MatrixXd dU(h, k), dW(h, h), dV(k, h);
    double loss = 0;
    for (int64_t first = 0; first < n_order; first += batch_size) {
        const int64_t last = std::min(n_order, first + batch_size);
        dU.setZero(), dW.setZero(), dV.setZero();
        for (int64_t i = first; i < last; i++) {
            const int32_t *x = tokens + offsets[order[i]];
            const int64_t T = offsets[order[i] + 1] - offsets[order[i]] - 1;
            MatrixXd s = MatrixXd::Zero(h, T + 1), o(k, T);
            for (int64_t t = 0; t < T; t++) {
                s.col(t + 1) = (U.col(x[t]) + W * s.col(t)).array().tanh();
                o.col(t).noalias() = V * s.col(t + 1);
                const double top = o.col(t).maxCoeff(), logit = o(x[t + 1], t);
                o.col(t) = (o.col(t).array() - top).exp();
                const double sum = o.col(t).sum();
                o.col(t) /= sum;
                loss += top + std::log(sum) - logit;
            }
            for (int64_t t = 0; t < T; t++) {
                o(x[t + 1], t) -= 1;
                dV.noalias() += o.col(t) * s.col(t + 1).transpose();
                VectorXd delta = V.transpose() * o.col(t);
                delta.array() *= 1 - s.col(t + 1).array().square();
                for (int64_t step = t; step >= 0 && step >= t - bptt; step--) {
                    dW.noalias() += delta * s.col(step).transpose();
                    dU.col(x[step]) += delta;
                    delta = ((W.transpose() * delta).array() * (1 - s.col(step).array().square())).matrix().eval();
                }
            }
        }
        const double pace = rate / double(last - first);
        U -= pace * dU, W -= pace * dW, V -= pace * dV;
    }
    return loss;
}
